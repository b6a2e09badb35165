import { sha256, type Digest } from './digest.js';
import { StoreError } from './errors.js';
import { partLength, partsOf } from './extent-window.js';
import type { ExtentMap, Part } from './extents.js';
import type { BlobPlace, BlobReader, Ownership, Piece } from './types.js';

const bufferSize = 1024 * 1024;
const partsPerQuery = 1000;
const attempts = 5;
/** The shortest run of a file that is lent, in bytes: shorter ones are sooner read. */
const shortestLent = 64 * 1024;

type Run =
  | { readonly kind: 'file'; readonly path: string; readonly offset: number; readonly length: number }
  | Exclude<Part, { kind: 'blob' }>;

/**
 * Bytes [start, end) of the artifact, in buffers of at most 1 MiB; `lent` ones hold their bytes only until the next is
 * asked for. Throws RangeError outside [0, size], at once.
 * Reads nothing it does not yield, stops when the consumer does, and reads on where a pack was rewritten meanwhile.
 */
export function readRange(
  map: ExtentMap,
  blobs: BlobReader,
  start: number,
  end: number,
  ownership: Ownership = 'given',
): AsyncIterable<Buffer> {
  return readParts(partsOf(map, start, end), blobs, (run) => readRun(run, blobs, ownership));
}

/**
 * The same bytes for who can send them from a descriptor: long runs of a file as such, the rest in buffers. Each piece
 * is lent until the next is asked for. Throws as `readRange`.
 */
export function readPieces(
  map: ExtentMap,
  blobs: BlobReader,
  start: number,
  end: number,
): AsyncIterable<Piece> {
  return readParts<Piece>(partsOf(map, start, end), blobs, (run) => {
    const isLent = run.kind === 'file' && run.length >= shortestLent;
    const lent = isLent ? blobs.lendFile?.(run.path, run.offset, run.length) : undefined;
    return lent ?? readRun(run, blobs, 'lent');
  });
}

/** The whole of one blob. Meant for small ones: it is held in memory. Throws StoreError PACK_DAMAGED when it has changed. */
export async function readBlob(blobs: BlobReader, blob: Digest): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    try {
      const place = placeOf(await blobs.locate([blob]), blob);
      const chunks: Buffer[] = [];
      for await (const chunk of blobs.readFile(place.path, place.offset, place.size)) chunks.push(chunk);
      return requireDigest(Buffer.concat(chunks), blob, place.path);
    } catch (error) {
      if (!movedAway(error) || attempt === attempts) throw error;
    }
  }
}

/** `bytes`, which the pack at `path` held for `blob`. Throws StoreError PACK_DAMAGED when they are others. */
export function requireDigest(bytes: Buffer, blob: Digest, path: string): Buffer {
  if (sha256(bytes) === blob) return bytes;
  throw new StoreError(
    'PACK_DAMAGED',
    `${path}: blob ${blob} has changed on disk; run: rackboot store verify`,
  );
}

async function* readParts<P extends Piece>(
  parts: readonly Part[],
  blobs: BlobReader,
  read: (run: Run) => AsyncIterable<P> | Iterable<P>,
): AsyncGenerator<P> {
  for (let from = 0; from < parts.length; from += partsPerQuery) {
    let batch = parts.slice(from, from + partsPerQuery);
    for (let attempt = 1; batch.length > 0; attempt++) {
      let yielded = 0;
      try {
        for (const run of await planRuns(batch, blobs)) {
          for await (const piece of read(run)) {
            yielded += piece.length;
            yield piece;
          }
        }
        break;
      } catch (error) {
        if (!movedAway(error) || attempt === attempts) throw error;
        if (yielded > 0) attempt = 1;
        batch = withoutFirst(batch, yielded);
      }
    }
  }
}

function movedAway(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'PACK_GONE';
}

function withoutFirst(parts: readonly Part[], bytes: number): Part[] {
  const rest: ExtentMap = { size: parts.reduce((sum, part) => sum + partLength(part), 0), parts };
  return partsOf(rest, bytes, rest.size);
}

/** Parts as reads, with neighbours in one pack made one read. */
async function planRuns(parts: readonly Part[], blobs: BlobReader): Promise<Run[]> {
  const wanted = new Set(parts.flatMap((part) => (part.kind === 'blob' ? [part.blob] : [])));
  const places = wanted.size === 0 ? new Map<Digest, BlobPlace>() : await blobs.locate(wanted);
  const runs: Run[] = [];
  for (const part of parts) {
    const run = part.kind === 'blob' ? fileRun(part, placeOf(places, part.blob)) : part;
    const last = runs.at(-1);
    if (
      run.kind === 'file' &&
      last?.kind === 'file' &&
      last.path === run.path &&
      last.offset + last.length === run.offset
    ) {
      runs[runs.length - 1] = { ...last, length: last.length + run.length };
    } else {
      runs.push(run);
    }
  }
  return runs;
}

function placeOf(places: ReadonlyMap<Digest, BlobPlace>, blob: Digest): BlobPlace {
  const place = places.get(blob);
  if (place === undefined)
    throw new StoreError('MISSING_BLOB', `blob ${blob} is not in the store; run: rackboot store verify`);
  return place;
}

function fileRun(part: Extract<Part, { kind: 'blob' }>, place: BlobPlace): Run {
  if (part.offset + part.length > place.size) {
    throw new StoreError(
      'BAD_MAP',
      `bytes ${part.offset} to ${part.offset + part.length} of blob ${part.blob} are wanted, but it has ${place.size}.`,
    );
  }
  return { kind: 'file', path: place.path, offset: place.offset + part.offset, length: part.length };
}

function readRun(
  run: Run,
  blobs: BlobReader,
  ownership: Ownership,
): AsyncIterable<Buffer> | Iterable<Buffer> {
  return run.kind === 'file'
    ? blobs.readFile(run.path, run.offset, run.length, ownership)
    : literalBuffers(run);
}

function* literalBuffers(run: Exclude<Run, { kind: 'file' }>): Generator<Buffer> {
  if (run.kind === 'inline') {
    for (let at = 0; at < run.bytes.length; at += bufferSize) yield run.bytes.subarray(at, at + bufferSize);
  } else {
    for (let left = run.length; left > 0; left -= bufferSize) yield Buffer.alloc(Math.min(left, bufferSize));
  }
}
