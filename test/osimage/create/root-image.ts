import { S_IFDIR, S_IFREG } from '../../../src/image/cpio/header.js';
import { parentOf, pathFromText, ROOT, type ArchivePath } from '../../../src/image/cpio/path.js';
import { contentOf, type Edit } from '../../../src/image/edit.js';
import { previewArchive, type ArchivePreview } from '../../../src/image/preview.js';
import { symlink } from '../../../src/osimage/create/units.js';
import type { BlobReader } from '../../../src/store/types.js';

/** A root file system with files of the given texts, and links, by their absolute paths. */
export function rootImage(
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
  modes: Readonly<Record<string, number>> = {},
): ArchivePreview {
  const edits: Edit[] = Object.entries(files).map(([name, text]) => ({
    ...{ op: 'put', path: pathFromText(name), mode: S_IFREG | (modes[name] ?? 0o644), uid: 0, gid: 0 },
    ...{ content: contentOf(Buffer.from(text)), from: 'test' },
  }));
  edits.push(...Object.entries(links).map(([name, target]) => symlink(pathFromText(name), target, 'test')));
  const directories = new Set<ArchivePath>();
  for (const { path } of edits.filter((edit) => 'path' in edit))
    for (let at = parentOf(path); at !== ROOT; at = parentOf(at)) directories.add(at);
  const made = [...directories].sort().map((path): Edit => ({
    ...{ op: 'put', path, mode: S_IFDIR | 0o755, uid: 0, gid: 0 },
    ...{ content: contentOf(Buffer.alloc(0)), from: 'test' },
  }));
  return previewArchive({ frames: [] }, [], [...made, ...edits], NO_BLOBS);
}

const NO_BLOBS: BlobReader = {
  locate: () => Promise.resolve(new Map()),
  readFile: () => {
    throw new Error('no file');
  },
};
