import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { packageRoot } from '../site/assets.js';
import type { Digest } from '../store/digest.js';
import { blobsOf, type ExtentMap, type Part } from '../store/extents.js';
import type { BlobPlace, BlobReader } from '../store/types.js';
import type { Outcome, Piece } from './digest-worker.js';

/** The SHA-256 of what an artifact becomes, computed while it is worked out what that is. */
export interface DigestAhead {
  /** Of the bytes that `map` stands for; undefined when they could not be read: then compute it from `map` alone. */
  of(map: ExtentMap): Promise<Digest | undefined>;
  /** Ends it. Call it always. */
  stop(): Promise<void>;
}

/** Below it, an artifact is hashed in less time than a thread takes to start. */
const WORTHWHILE = 64 << 20; // bytes

/**
 * Hashes `old` on a thread of its own and remembers what it was before each part. What comes after an unchanged
 * beginning is then all that is left to hash. Undefined when it is not worthwhile.
 */
export async function digestAhead(old: ExtentMap, blobs: BlobReader): Promise<DigestAhead | undefined> {
  if (old.size < WORTHWHILE) return undefined;
  const worker = new Worker(path.join(packageRoot(), 'dist/src/osimage/digest-worker.js'), {
    workerData: await piecesOf(old.parts, blobs),
  });
  worker.unref();
  const failed = once(worker, 'error').then(
    () => undefined,
    () => undefined,
  );
  return {
    async of(map) {
      const kept = keptParts(old.parts, map.parts);
      const outcome: Outcome = { kept, rest: await piecesOf(map.parts.slice(kept), blobs) };
      worker.ref();
      const answer = once(worker, 'message').then(([digest]) => digest as Digest);
      worker.postMessage(outcome);
      return Promise.race([answer, failed]);
    },
    async stop() {
      await worker.terminate();
    },
  };
}

/** How many parts two maps have in common from their beginning. */
function keptParts(old: readonly Part[], now: readonly Part[]): number {
  const differs = old.findIndex((part, at) => !isSame(part, now[at]));
  return differs < 0 ? old.length : differs;
}

function isSame(a: Part, b: Part | undefined): boolean {
  if (a.kind === 'blob')
    return b?.kind === 'blob' && a.blob === b.blob && a.offset === b.offset && a.length === b.length;
  if (a.kind === 'inline') return b?.kind === 'inline' && a.bytes.equals(b.bytes);
  return b?.kind === 'zero' && a.length === b.length;
}

async function piecesOf(parts: readonly Part[], blobs: BlobReader): Promise<Piece[]> {
  const places = await blobs.locate(blobsOf({ size: 0, parts }));
  return parts.map((part) => {
    if (part.kind === 'inline') return { bytes: part.bytes };
    if (part.kind === 'zero') return { bytes: new Uint8Array(part.length) };
    const place: BlobPlace | undefined = places.get(part.blob);
    // A file that is not there: the thread fails, and the caller reads through the store, which says what is wrong.
    return place === undefined
      ? { path: part.blob, offset: 0, length: part.length }
      : { path: place.path, offset: place.offset + part.offset, length: part.length };
  });
}
