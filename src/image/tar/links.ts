import type { IndexedEntry } from '../archive.js';
import { canonicalPath } from '../cpio/path.js';

/**
 * `entries` of one tar archive with hard links told the way cpio tells them: all names of a file share its inode number
 * and count its names. Those of other archives stay as they are.
 */
export function joinLinks<T extends Pick<IndexedEntry, 'header' | 'rawName' | 'tar'>>(
  entries: readonly T[],
): T[] {
  const files = new Map<string, number>(); // by path: the place of the entry that has the data
  const names = new Map<number, number[]>(); // by that place: those of the links to it
  entries.forEach(({ rawName, tar }, at) => {
    if (tar === undefined) return;
    const file = tar.link === undefined ? at : files.get(canonicalPath(tar.link));
    files.set(canonicalPath(rawName), file ?? at);
    if (file === undefined || file === at) return;
    const links = names.get(file);
    if (links === undefined) names.set(file, [at]);
    else links.push(at);
  });
  const joined = [...entries];
  for (const [file, links] of names) {
    const head = entries[file];
    if (head === undefined) continue;
    const nlink = links.length + 1;
    joined[file] = { ...head, header: { ...head.header, nlink } };
    for (const at of links) {
      const entry = entries[at];
      if (entry === undefined) continue;
      joined[at] = {
        ...entry,
        header: { ...head.header, size: entry.header.size, nameSize: entry.header.nameSize, nlink },
      };
    }
  }
  return joined;
}
