import { BlobTally, type PackTally } from '../blob-tally.js';
import type { HeldGarbage, Timestamp } from '../records.js';
import { decodeReferences } from './references.js';
import { groupsOf } from './rows.js';
import type { LeaseTable, Queries, Row } from './tables.js';

const pageSize = 10_000;

/** What a collection works by. */
export interface CollectionRules {
  readonly keep: number | undefined; // generations of each osimage
  readonly isOver: (lease: Row<LeaseTable>) => boolean;
}

/** A pack's row, and what lies in it once the garbage is gone. */
export interface KeptPack {
  readonly id: number;
  readonly name: string;
  readonly size: number; // bytes of the file
  readonly tally: PackTally | undefined; // of a pack that is still being written
}

/** What a collection removes and what it leaves, decided in one transaction. */
export interface Collection {
  readonly leases: readonly string[];
  readonly generations: readonly { readonly osimage: string; readonly id: string }[];
  readonly references: readonly Buffer[];
  readonly blobs: BlobTally; // live ones are marked
  readonly deadBlobs: number;
  readonly removedPacks: readonly number[];
  readonly keptPacks: readonly KeptPack[];
  readonly held: readonly HeldGarbage[];
}

/** Whether a lease has ended: its time is over, or its process is known to be gone. */
export function leaseIsOver(
  lease: Row<LeaseTable>,
  now: Timestamp,
  isRunning: (process: { host: string; pid: number; started: string }) => boolean | undefined,
): boolean {
  if (lease.expires_at <= now) return true;
  const { host, pid, started } = lease;
  if (host === null || pid === null || started === null) return false;
  return isRunning({ host, pid, started }) === false;
}

/** Decides what is garbage. Only reads; what it found holds until the transaction ends. */
export async function planCollection(trx: Queries, rules: CollectionRules): Promise<Collection> {
  const leases = await trx.selectFrom('lease').selectAll().execute();
  const over = leases.filter(rules.isOver).map((lease) => lease.id);
  const held = leases.filter((lease) => !over.includes(lease.id));
  const generations = await trx
    .selectFrom('generation')
    .select(['osimage', 'id', 'refs'])
    .orderBy('number', 'desc')
    .execute();
  const dropped = new Set(
    rules.keep === undefined ? [] : await planDrops(trx, generations, held, rules.keep),
  );

  const blobs = await tallyBlobs(trx);
  const needed = new Set<string>();
  for (const { refs } of generations.filter((generation) => !dropped.has(generation))) {
    const key = refs.toString('hex');
    if (needed.has(key)) continue;
    needed.add(key);
    await markReferences(trx, refs, blobs);
  }
  await markLeased(trx, held, blobs);
  const heldGarbage: HeldGarbage[] = [];
  for (const holders of byReferences(held)) {
    const [{ refs }] = holders;
    const key = refs.toString('hex');
    if (needed.has(key)) continue;
    needed.add(key);
    const bytes = await markReferences(trx, refs, blobs);
    if (bytes > 0) heldGarbage.push(heldBy(holders, bytes));
  }

  const lists = await trx.selectFrom('reference_list').select('digest').execute();
  const packs = await planPacks(trx, held, blobs);
  return {
    leases: over,
    generations: [...dropped],
    references: lists.map((list) => list.digest).filter((digest) => !needed.has(digest.toString('hex'))),
    blobs,
    held: heldGarbage,
    deadBlobs: [...blobs.packs().values()].reduce((sum, pack) => sum + pack.deadBlobs, 0),
    ...packs,
  };
}

/** Removes from the database what `collection` found to be garbage, in the transaction that found it. */
export async function applyCollection(trx: Queries, collection: Collection): Promise<void> {
  for (const { osimage, id } of collection.generations) {
    await trx.deleteFrom('generation').where('osimage', '=', osimage).where('id', '=', id).execute();
  }
  for (const group of groupsOf(collection.leases))
    await trx.deleteFrom('lease').where('id', 'in', group).execute();
  for (const group of groupsOf(collection.references)) {
    await trx.deleteFrom('reference_list').where('digest', 'in', group).execute();
  }
  for (const group of groupsOf(collection.blobs.dead())) {
    await trx.deleteFrom('blob').where('digest', 'in', group).execute();
  }
  for (const group of groupsOf(collection.removedPacks)) {
    await trx.deleteFrom('pack').where('id', 'in', group).execute();
  }
}

type GenerationKey = { readonly osimage: string; readonly id: string; readonly refs: Buffer };

/** Generations beyond the newest `keep` of their osimage that nothing else keeps. `newestFirst` is sorted so. */
async function planDrops(
  trx: Queries,
  newestFirst: readonly GenerationKey[],
  held: readonly Row<LeaseTable>[],
  keep: number,
): Promise<GenerationKey[]> {
  const key = (osimage: string | null, id: string | null): string => JSON.stringify([osimage, id]);
  const current = await trx.selectFrom('osimage').select(['name', 'current']).execute();
  const pinned = await trx
    .selectFrom('assignment')
    .select(['osimage', 'generation'])
    .distinct()
    .where('state', '=', 'osimage')
    .where('generation', 'is not', null)
    .execute();
  const kept = new Set([
    ...current.map((row) => key(row.name, row.current)),
    ...[...pinned, ...held].map((row) => key(row.osimage, row.generation)),
  ]);
  const seen = new Map<string, number>();
  return newestFirst.filter(({ osimage, id }) => {
    const newer = seen.get(osimage) ?? 0;
    seen.set(osimage, newer + 1);
    return newer >= keep && !kept.has(key(osimage, id));
  });
}

async function tallyBlobs(trx: Queries): Promise<BlobTally> {
  const tally = new BlobTally();
  for (let last: Buffer = Buffer.alloc(0); ;) {
    const page = await trx
      .selectFrom('blob')
      .select(['digest', 'pack', 'size'])
      .where('digest', '>', last)
      .orderBy('digest')
      .limit(pageSize)
      .execute();
    for (const row of page) tally.add(row.digest, row.pack, row.size);
    const end = page.at(-1);
    if (end === undefined) return tally;
    last = end.digest;
  }
}

/** A lease that holds the blobs of a generation. */
type HoldingLease = Row<LeaseTable> & {
  readonly refs: Buffer;
  readonly kind: 'read' | 'boot' | 'transfer';
  readonly osimage: string;
  readonly generation: string;
};

function isHolding(lease: Row<LeaseTable>): lease is HoldingLease {
  return lease.refs !== null && lease.osimage !== null && lease.generation !== null && lease.kind !== 'write';
}

/** The leases that hold generations, those of the same blobs together. */
function byReferences(leases: readonly Row<LeaseTable>[]): (readonly [HoldingLease, ...HoldingLease[]])[] {
  const groups = new Map<string, [HoldingLease, ...HoldingLease[]]>();
  for (const lease of leases.filter(isHolding)) {
    const key = lease.refs.toString('hex');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [lease]);
    else group.push(lease);
  }
  return [...groups.values()];
}

function heldBy(leases: readonly [HoldingLease, ...HoldingLease[]], bytes: number): HeldGarbage {
  const [{ osimage, generation }] = leases;
  const holders = leases.map(({ kind, holder, pid, expires_at: expiresAt }) => ({
    kind,
    holder,
    pid,
    expiresAt,
  }));
  return { osimage, id: generation, bytes, holders };
}

/** Marks the blobs of a reference list as live and counts the bytes that were not yet. */
async function markReferences(trx: Queries, refs: Buffer, blobs: BlobTally): Promise<number> {
  const list = await trx
    .selectFrom('reference_list')
    .select('digests')
    .where('digest', '=', refs)
    .executeTakeFirstOrThrow();
  let bytes = 0;
  for (const digest of decodeReferences(list.digests)) bytes += blobs.markLive(digest);
  return bytes;
}

async function markLeased(trx: Queries, held: readonly Row<LeaseTable>[], blobs: BlobTally): Promise<void> {
  for (const { id } of held.filter((lease) => lease.kind === 'write')) {
    for (let last: Buffer = Buffer.alloc(0); ;) {
      const page = await trx
        .selectFrom('lease_blob')
        .select('blob')
        .where('lease', '=', id)
        .where('blob', '>', last)
        .orderBy('blob')
        .limit(pageSize)
        .execute();
      for (const { blob } of page) blobs.markLive(blob);
      const end = page.at(-1);
      if (end === undefined) break;
      last = end.blob;
    }
  }
}

async function planPacks(
  trx: Queries,
  held: readonly Row<LeaseTable>[],
  blobs: BlobTally,
): Promise<{ removedPacks: number[]; keptPacks: KeptPack[] }> {
  const writers = new Set(held.map((lease) => lease.id));
  const tallies = blobs.packs();
  const removedPacks: number[] = [];
  const keptPacks: KeptPack[] = [];
  for (const { id, name, size, state, lease } of await trx
    .selectFrom('pack')
    .selectAll()
    .orderBy('id')
    .execute()) {
    const tally = tallies.get(id);
    const wanted = state === 'ready' ? (tally?.liveBlobs ?? 0) > 0 : lease !== null && writers.has(lease);
    if (wanted) keptPacks.push({ id, name, size, tally });
    else removedPacks.push(id);
  }
  return { removedPacks, keptPacks };
}
