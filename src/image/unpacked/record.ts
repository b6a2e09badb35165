import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../cpio/header.js';
import { ROOT, type ArchivePath } from '../cpio/path.js';
import type { PlacedEntry } from '../archive-index.js';
import { ImageError } from '../errors.js';
import { parseMtree, type MtreeEntry } from '../mtree.js';
import type { FileMark, FileMarks } from './file-marks.js';

/** Where a directory was unpacked from, and whether owners and devices lie in it or in the record. */
export interface RecordOrigin {
  readonly osimage: string;
  readonly generation: string;
  readonly archive: string;
  readonly part: number;
  /** `disk`: unpacked as root, the files have their owners; `record`: they have not, this file says whose they are. */
  readonly owners: 'disk' | 'record';
}

/** What was unpacked into a directory: the mtree file beside it. */
export interface UnpackRecord {
  readonly origin: RecordOrigin;
  readonly entries: ReadonlyMap<ArchivePath, MtreeEntry>; // in the archive's order
  readonly marks: FileMarks; // of the files as they were written
}

const HEADER = '# rackboot image unpack: ';
const MARK = '# file ';

/** The mtree file (mtree(5)) beside an unpacked directory; marks of files are comments in it. */
export function encodeRecord(
  origin: RecordOrigin,
  entries: ReadonlyMap<ArchivePath, PlacedEntry>,
  marks: FileMarks = new Map(),
): string {
  const lines = ['#mtree', `${HEADER}${JSON.stringify(origin)}`];
  for (const [path, entry] of entries) lines.push(encodeLine(path, entry));
  for (const [path, mark] of marks) lines.push(`${MARK}${mark} ${encodeURI(path)}`);
  return `${lines.join('\n')}\n`;
}

/** The record that `encodeRecord` wrote and a person may have changed. Throws ImageError BAD_LAYER, naming file and line. */
export function decodeRecord(text: string, file: string): UnpackRecord {
  const header = text.split('\n').find((line) => line.startsWith(HEADER));
  if (header === undefined) {
    throw new ImageError(
      'BAD_LAYER',
      `${file} was not written by image unpack: it has no line "${HEADER.trim()}"; unpack again, or move it away to pack the directory as it stands on disk`,
    );
  }
  return {
    origin: originIn(header.slice(HEADER.length), file),
    entries: new Map(parseMtree(text, file).map((entry) => [entry.path, entry])),
    marks: new Map(marksIn(text)),
  };
}

function* marksIn(text: string): Generator<[ArchivePath, FileMark]> {
  for (const [, mark, path] of text.matchAll(/^# file ([0-9a-z.]+) (\S+)$/gm))
    if (mark !== undefined && path !== undefined) yield [decodeURI(path) as ArchivePath, mark];
}

function originIn(text: string, file: string): RecordOrigin {
  try {
    const origin = JSON.parse(text) as Partial<RecordOrigin> | null;
    const { osimage, generation, archive, part, owners } = origin ?? {};
    const names = [osimage, generation, archive].every((name) => typeof name === 'string');
    if (origin !== null && names && typeof part === 'number' && (owners === 'disk' || owners === 'record'))
      return origin as RecordOrigin;
  } catch {
    // said below
  }
  throw new ImageError(
    'BAD_LAYER',
    `${file}: its line "${HEADER.trim()}" does not say what was unpacked; unpack again and move your changes there`,
  );
}

const TYPES: ReadonlyMap<number, string> = new Map([
  [S_IFREG, 'file'],
  [S_IFDIR, 'dir'],
  [S_IFLNK, 'link'],
  [S_IFCHR, 'char'],
  [S_IFBLK, 'block'],
  [S_IFIFO, 'fifo'],
  [S_IFSOCK, 'socket'],
]);

function encodeLine(path: ArchivePath, { header, target }: PlacedEntry): string {
  const { mode, uid, gid, mtime, rdevMajor, rdevMinor } = header;
  const type = TYPES.get(mode & S_IFMT) ?? 'file';
  return [
    path === ROOT ? '.' : `./${escape(path)}`,
    `type=${type}`,
    `mode=${(mode & 0o7777).toString(8).padStart(4, '0')}`,
    `uid=${uid}`,
    `gid=${gid}`,
    `time=${mtime}.000000000`,
    ...(type === 'link' && target !== undefined ? [`link=${escape(target)}`] : []),
    ...(type === 'char' || type === 'block' ? [`device=native,${rdevMajor},${rdevMinor}`] : []),
  ].join(' ');
}

/** As strsvis(3) writes names: three octal digits for what is no plain character or means something in mtree. */
function escape(text: string): string {
  return text.replace(
    /[^!-~]|[\\#=*?[\]]/g,
    (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
