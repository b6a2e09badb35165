import type { PlacedEntry } from '../archive-index.js';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT } from '../cpio/header.js';
import type { ArchivePath } from '../cpio/path.js';
import { filterBytes } from '../filter.js';

/** An entry and where it lies. */
type Placed = readonly [ArchivePath, PlacedEntry];

/**
 * Makes the pipes among `entries` below `directory`, and as root its devices; gives back those it made. The kernel makes
 * nothing of an entry whose type it does not know, and neither does this. Node.js has no
 * call for it, so mknod(1) does, all in one shell. Throws ImageError TOOL_FAILED.
 */
export async function makeNodes(
  directory: string,
  entries: readonly Placed[],
  privileged: boolean,
): Promise<Placed[]> {
  const kinds = privileged ? [S_IFIFO, S_IFBLK, S_IFCHR] : [S_IFIFO];
  const made = entries.filter(([, { header }]) => kinds.includes(header.mode & S_IFMT));
  if (made.length === 0) return [];
  const script = [
    'set -e',
    `cd -- ${quote(Buffer.from(directory).toString('latin1'))}`,
    ...made.map(command),
  ];
  await filterBytes(
    { program: 'sh', args: ['-s'], package: 'dash' },
    Buffer.from(script.join('\n'), 'latin1'),
  );
  return made;
}

function command([path, { header }]: Placed): string {
  const { mode, rdevMajor, rdevMinor } = header;
  const type = mode & S_IFMT;
  const kind = type === S_IFIFO ? 'p' : `${type === S_IFBLK ? 'b' : 'c'} ${rdevMajor} ${rdevMinor}`;
  return `mknod -m 600 -- ${quote(`./${path}`)} ${kind}`;
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
