import { createWriteStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Writes a file below a directory, with the directories that it needs; nothing for no source. */
export async function layFile(
  dir: string,
  href: string,
  source: AsyncIterable<Buffer> | Iterable<Buffer> | undefined,
): Promise<void> {
  if (source === undefined) return;
  const file = path.join(dir, href);
  await mkdir(path.dirname(file), { recursive: true });
  await pipeline(Readable.from(source), createWriteStream(file));
}

/** The files below a directory, relative to it, in order. */
export async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
    .sort((a, b) => (a < b ? -1 : 1));
}
