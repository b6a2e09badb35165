import type { PlacedEntry } from '../archive-index.js';
import { isRegular, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from '../cpio/header.js';
import { canonicalPath, isSafe, pathToText } from '../cpio/path.js';
import { ImageError } from '../errors.js';
import type { FilterProgram } from '../filter.js';
import { ArchiveTree } from '../tree.js';
import { filterThrough } from '../whole/filtering.js';
import { noInput } from './read.js';
import { placedEntry, type Contents } from '../nested/contents.js';

const TYPES: Readonly<Record<string, number>> = {
  '-': S_IFREG,
  d: S_IFDIR,
  l: S_IFLNK,
  c: S_IFCHR,
  b: S_IFBLK,
  p: S_IFIFO,
  s: S_IFSOCK,
};

/** More listing than a million entries with long names come to. */
const MAX_LISTING = 512 * 1024 * 1024; // bytes

/**
 * Looks into the squashfs in the file at `path`, by means of unsquashfs; times are known to the minute. Throws ImageError
 * MISSING_TOOL, and TOOL_FAILED for a damaged one.
 */
export async function openSquashfs(path: string): Promise<Contents> {
  const tree = new ArchiveTree(await listSquashfs(path));
  return {
    tree,
    async *read(entry: PlacedEntry) {
      const name = Buffer.from(entry.path, 'latin1').toString('utf8');
      if (Buffer.from(name, 'utf8').toString('latin1') !== entry.path) {
        throw new ImageError(
          'UNSAFE_PATH',
          `${pathToText(entry.path)}: a name that is not UTF-8, which unsquashfs cannot be told; unpack the squashfs to read it`,
        );
      }
      if (isRegular(entry.header.mode) && entry.header.size > 0)
        yield* output(['-no-wildcards', '-cat', path, name]);
    },
  };
}

async function listSquashfs(path: string): Promise<PlacedEntry[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of output(['-lln', '-UTC', '-dest', '.', path])) {
    size += chunk.length;
    if (size > MAX_LISTING)
      throw new ImageError(
        'TOO_LARGE',
        `the squashfs lists more than ${MAX_LISTING} bytes of names; it is damaged or hostile`,
      );
    chunks.push(chunk);
  }
  return entriesOf(Buffer.concat(chunks).toString('latin1'));
}

/** The entries in what `unsquashfs -lln` prints, latin-1. A name that holds a newline goes on in the next line. */
export function entriesOf(listing: string): PlacedEntry[] {
  const entries: PlacedEntry[] = [];
  const lines = listing.split(/\n(?=[-dlcbps][-rwxsStT]{9} \d+\/\d+ )/);
  lines.forEach((line, at) => {
    const found =
      /^([-dlcbps])([-rwxsStT]{9}) (\d+)\/(\d+) +(?:(\d+)|(\d+), *(\d+)) (\d{4}-\d\d-\d\d \d\d:\d\d) (.*?)\n?$/s.exec(
        line,
      );
    const [, letter = '', permissions = '', uid, gid, size, major, minor, time = '', text = ''] = found ?? [];
    const type = TYPES[letter];
    if (type === undefined) return;
    const arrow = type === S_IFLNK ? text.indexOf(' -> ') : -1;
    const rawName = arrow < 0 ? text : text.slice(0, arrow);
    if (!isSafe(canonicalPath(rawName))) return;
    entries.push(
      placedEntry({
        rawName,
        header: {
          magic: '070701',
          ino: at + 1,
          mode: type | modeOf(permissions),
          uid: Number(uid),
          gid: Number(gid),
          nlink: type === S_IFDIR ? 2 : 1,
          mtime: Math.floor(Date.parse(`${time.replace(' ', 'T')}Z`) / 1000),
          size: type === S_IFREG ? Number(size) : 0,
          devMajor: 0,
          devMinor: 0,
          rdevMajor: Number(major ?? 0),
          rdevMinor: Number(minor ?? 0),
          nameSize: rawName.length + 1,
          check: 0,
        },
        offset: 0,
        dataOffset: 0,
        end: 0,
        ...(arrow < 0 ? {} : { target: text.slice(arrow + 4) }),
      }),
    );
  });
  return entries;
}

/** The permission bits of nine letters, as ls writes them. */
function modeOf(letters: string): number {
  let mode = 0;
  [...letters].forEach((letter, at) => {
    if (/[rwxst]/.test(letter)) mode |= 0o400 >> at;
    if (/[sStT]/.test(letter)) mode |= 0o4000 >> ((at - 2) / 3);
  });
  return mode;
}

function output(args: readonly string[]): AsyncGenerator<Buffer> {
  const program: FilterProgram = { program: 'unsquashfs', args, package: 'squashfs-tools' };
  return filterThrough(program, noInput());
}
