import { canonicalPath, pathToText } from '../cpio/path.js';
import { ImageError } from '../errors.js';
import type { TarEntry } from './scanner.js';

/**
 * `entries` of one tar archive with hard links told the way cpio tells them: all names of a file share its inode number
 * and count its names. Throws ImageError BAD_HEADER for a link to what does not stand before it.
 */
export function joinLinks<T extends TarEntry>(entries: readonly T[]): T[] {
  const files = new Map<string, number>(); // by path: the place of the entry that has the data
  const names = new Map<number, number[]>(); // by that place: those of the links to it
  entries.forEach(({ rawName, link, offset }, at) => {
    const path = canonicalPath(rawName);
    if (link === undefined) {
      files.set(path, at);
      return;
    }
    const file = files.get(canonicalPath(link));
    if (file === undefined) {
      throw new ImageError(
        'BAD_HEADER',
        `${pathToText(path)} at offset ${offset} is a hard link to ${pathToText(canonicalPath(link))}, which does not stand before it; write the archive again`,
      );
    }
    files.set(path, file);
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
      const { rdevMajor, rdevMinor, mode, ino } = head.header;
      joined[at] = { ...entry, header: { ...entry.header, mode, ino, rdevMajor, rdevMinor, nlink } };
    }
  }
  return joined;
}
