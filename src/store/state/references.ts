import type { Digest } from '../digest.js';
import { sha256 } from '../digest.js';
import { StoreError } from '../errors.js';
import type { DatabaseKind } from './migrations.js';
import { digestBytes, digestOf, groupsOf, isOneOf } from './rows.js';
import type { Queries } from './tables.js';

const bytesEach = 32;

/** The reference list of `blobs`: their digests, sorted, each once, 32 bytes each. */
function encodeReferences(blobs: Iterable<Digest>): Buffer {
  const sorted = [...new Set(blobs)].sort();
  return Buffer.from(sorted.join(''), 'hex');
}

/** The digests of a reference list, in order. */
export function* decodeReferences(list: Buffer): Generator<Buffer> {
  for (let at = 0; at + bytesEach <= list.length; at += bytesEach) yield list.subarray(at, at + bytesEach);
}

/**
 * Keeps the reference list of `blobs` and gives back its name. Throws StoreError MISSING_BLOB when one of them is not
 * in the store, which the caller's transaction keeps true until it commits.
 */
export async function insertReferences(
  trx: Queries,
  kind: DatabaseKind,
  blobs: Iterable<Digest>,
): Promise<Buffer> {
  const list = encodeReferences(blobs);
  for (const group of groupsOf(decodeReferences(list))) await requireBlobs(trx, kind, group);
  const digest = digestBytes(sha256(list));
  await trx
    .insertInto('reference_list')
    .values({ digest, digests: list })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return digest;
}

async function requireBlobs(trx: Queries, kind: DatabaseKind, group: readonly Buffer[]): Promise<void> {
  const rows = await trx.selectFrom('blob').select('digest').where(isOneOf(kind, group)).execute();
  if (rows.length === group.length) return;
  const held = new Set(rows.map((row) => digestOf(row.digest)));
  const missing = group.map(digestOf).find((digest) => !held.has(digest));
  throw new StoreError(
    'MISSING_BLOB',
    `blob ${missing ?? ''} is not in the store: seal what was put before publishing it.`,
  );
}
