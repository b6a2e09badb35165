import { createHash } from 'node:crypto';
import { messageOf } from '../errors.js';
import { StoreError } from './errors.js';
import type { StoreLayout } from './layout.js';
import type { OpenFiles } from './open-files.js';
import type { PackEntry } from './pack-format.js';
import { readPackIndex } from './pack-reader.js';
import type { VerifyProblem } from './records.js';
import type { BlobIndex } from './state/blob-index.js';

const pageSize = 1000;

/** What verifying works on. */
export interface VerifyParts {
  readonly index: BlobIndex;
  readonly layout: StoreLayout;
  readonly files: OpenFiles;
}

/** Re-reads every blob, pack by pack, and compares it with its name; `progress` counts bytes. */
export async function verifyStore(
  parts: VerifyParts,
  progress: (done: number, total: number) => void,
): Promise<{ blobs: number; bytes: number; problems: VerifyProblem[] }> {
  const { bytes: total } = await parts.index.totals();
  const problems: VerifyProblem[] = [];
  let blobs = 0;
  let bytes = 0;
  for (const pack of await parts.index.packs()) {
    if (pack.state !== 'ready') continue;
    const path = parts.layout.packPath(pack.name);
    const found: VerifyProblem[] = [];
    for await (const entry of entriesOf(parts.index, pack.id)) {
      const problem = await checkBlob(parts.files, path, entry);
      if (problem !== undefined) found.push({ pack: pack.name, blob: entry.digest, problem });
      blobs++;
      bytes += entry.size;
      progress(bytes, Math.max(total, bytes));
    }
    const indexProblem = await checkPackIndex(path);
    if (indexProblem !== undefined) found.push({ pack: pack.name, blob: null, problem: indexProblem });
    problems.push(...(await stillThere(parts.index, pack, found)));
  }
  return { blobs, bytes, problems };
}

async function* entriesOf(index: BlobIndex, pack: number): AsyncGenerator<PackEntry> {
  for (let last: PackEntry | undefined; ;) {
    const page = await index.blobsOfPack(pack, last, pageSize);
    yield* page;
    last = page.at(-1);
    if (last === undefined) return;
  }
}

/** What is wrong with a blob, or undefined. */
async function checkBlob(files: OpenFiles, path: string, entry: PackEntry): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const buffer of files.read(path, entry.offset, entry.size)) hash.update(buffer);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'CLOSED') throw error;
    return error.code === 'PACK_GONE' ? 'the pack is missing' : messageOf(error);
  }
  return hash.digest('hex') === entry.digest ? undefined : 'its bytes have changed';
}

async function checkPackIndex(path: string): Promise<string | undefined> {
  try {
    await readPackIndex(path);
    return undefined;
  } catch (error) {
    return error instanceof StoreError && error.code === 'PACK_GONE'
      ? 'the pack is missing'
      : messageOf(error);
  }
}

/** Those of the problems that a gc running meanwhile has not made moot, by moving or removing what they are about. */
async function stillThere(
  index: BlobIndex,
  pack: { id: number; name: string },
  problems: readonly VerifyProblem[],
): Promise<VerifyProblem[]> {
  if (problems.length === 0 || !(await index.packs()).some(({ id }) => id === pack.id)) return [];
  const places = await index.locate(problems.flatMap(({ blob }) => blob ?? []));
  return problems.filter(({ blob }) => blob === null || places.get(blob)?.pack === pack.name);
}
