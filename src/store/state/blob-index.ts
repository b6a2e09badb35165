import { randomUUID } from 'node:crypto';
import type { Digest } from '../digest.js';
import { StoreError } from '../errors.js';
import type { PackEntry } from '../pack-format.js';
import type { ProcessIdentity } from '../process.js';
import type { GenerationName } from '../records.js';
import type { StateDatabase } from './database.js';
import { requireGeneration } from './generations.js';
import { digestBytes, digestOf, groupsOf, isOneOf } from './rows.js';
import type { Queries } from './tables.js';

/** Where a blob lies: in which pack, and where in it. */
export interface IndexedPlace {
  readonly pack: string;
  readonly offset: number;
  readonly size: number;
}

/** A pack that lies finished in packs/ and is to be made known. */
export interface FinishedPack {
  readonly name: string;
  readonly size: number; // bytes of the file
  readonly entries: readonly PackEntry[];
}

const rowsPerInsert = 500;

/**
 * Which blobs there are and who relies on them. The order that keeps it right between processes: a pack's row, naming
 * its writer's lease, is there before its file; blobs are there only after their file is; a blob that a writer finds
 * is leased in the transaction that found it; and gc decides and deletes in one transaction.
 */
export class BlobIndex {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** The places of those of `blobs` that are there. */
  async locate(blobs: Iterable<Digest>): Promise<Map<Digest, IndexedPlace>> {
    const found = new Map<Digest, IndexedPlace>();
    for (const group of groupsOf(blobs)) {
      const rows = await this.#database.read((db) =>
        db
          .selectFrom('blob')
          .innerJoin('pack', 'pack.id', 'blob.pack')
          .select(['blob.digest', 'blob.offset', 'blob.size', 'pack.name'])
          .where(isOneOf(this.#database.kind, group.map(digestBytes)))
          .execute(),
      );
      for (const row of rows)
        found.set(digestOf(row.digest), { pack: row.name, offset: row.offset, size: row.size });
    }
    return found;
  }

  /** Takes a write lease, or one to read `generation`; gives back its id. */
  async takeLease(lease: {
    readonly purpose: string;
    readonly process: ProcessIdentity;
    readonly expiresAt: number;
    readonly generation?: GenerationName;
  }): Promise<string> {
    const id = randomUUID();
    const { purpose, process, expiresAt, generation } = lease;
    const values = { id, holder: purpose, ...process, expires_at: expiresAt };
    await this.#database.write(
      async (trx) => {
        if (generation === undefined) {
          await trx
            .insertInto('lease')
            .values({ ...values, kind: 'write' })
            .execute();
          return;
        }
        const { osimage, id: name, refs } = await requireGeneration(trx, generation.osimage, generation.id);
        await trx
          .insertInto('lease')
          .values({ ...values, kind: 'read', osimage, generation: name, refs })
          .execute();
      },
      { durable: false },
    );
    return id;
  }

  /** Puts off the lease's expiry. */
  async extendLease(lease: string, expiresAt: number): Promise<void> {
    await this.#database.write(
      (trx) => trx.updateTable('lease').set({ expires_at: expiresAt }).where('id', '=', lease).execute(),
      { durable: false },
    );
  }

  /** Gives the lease back, with the rows of packs that were not finished under it. */
  async endLease(lease: string): Promise<void> {
    await this.#database.write(
      async (trx) => {
        await trx.deleteFrom('pack').where('lease', '=', lease).where('state', '=', 'writing').execute();
        await trx.deleteFrom('lease').where('id', '=', lease).execute();
      },
      { durable: false },
    );
  }

  /** Throws StoreError LEASE_LOST when gc has taken the lease's holder for dead. */
  async requireLease(lease: string): Promise<void> {
    await this.#database.read((db) => requireLease(db, lease));
  }

  /** Whether the blob is there; when it is, it stays as long as the lease. */
  async leaseIfPresent(lease: string, blob: Digest): Promise<boolean> {
    const digest = digestBytes(blob);
    const isThere = async (db: Queries): Promise<boolean> =>
      (await db.selectFrom('blob').select('size').where('digest', '=', digest).executeTakeFirst()) !==
      undefined;
    if (!(await this.#database.read(isThere))) return false;
    return this.#database.write(
      async (trx) => {
        if (!(await isThere(trx))) return false;
        await requireLease(trx, lease);
        await trx
          .insertInto('lease_blob')
          .values({ lease, blob: digest })
          .onConflict((conflict) => conflict.doNothing())
          .execute();
        return true;
      },
      { durable: false },
    );
  }

  /** Announces a pack of which no file is there yet. */
  async announcePack(lease: string, name: string): Promise<void> {
    await this.#database.write(
      async (trx) => {
        await requireLease(trx, lease);
        await trx.insertInto('pack').values({ name, state: 'writing', lease, size: 0 }).execute();
      },
      { durable: false },
    );
  }

  /** Takes back the announcement of those of the packs `names` that never became known; gives back which. */
  async withdrawPacks(names: readonly string[]): Promise<string[]> {
    if (names.length === 0) return [];
    const rows = await this.#database.write(
      (trx) =>
        trx
          .deleteFrom('pack')
          .where('name', 'in', names)
          .where('state', '=', 'writing')
          .returning('name')
          .execute(),
      { durable: false },
    );
    return rows.map((row) => row.name);
  }

  /** Makes finished packs and their blobs known, all at once, and leases the blobs. Throws StoreError LEASE_LOST. */
  async addPacks(lease: string, packs: readonly FinishedPack[]): Promise<void> {
    await this.#database.write(async (trx) => {
      await requireLease(trx, lease);
      for (const pack of packs) {
        const id = await markReady(trx, lease, pack);
        for (const group of groupsOf(pack.entries, rowsPerInsert)) {
          const rows = group.map(({ digest, offset, size }) => ({
            digest: digestBytes(digest),
            pack: id,
            offset,
            size,
          }));
          await trx
            .insertInto('blob')
            .values(rows)
            .onConflict((conflict) => conflict.doNothing())
            .execute();
          await trx
            .insertInto('lease_blob')
            .values(rows.map((row) => ({ lease, blob: row.digest })))
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        }
      }
    });
  }

  /**
   * Makes a finished pack known into which live blobs of the packs `from` were copied, and points those blobs there
   * that still are where they were copied from. Gives back the names of the packs that nothing lies in any more.
   */
  async moveBlobs(lease: string, pack: FinishedPack, from: readonly number[]): Promise<string[]> {
    return this.#database.write(async (trx) => {
      await requireLease(trx, lease);
      const id = await markReady(trx, lease, pack);
      for (const { digest, offset } of pack.entries) {
        await trx
          .updateTable('blob')
          .set({ pack: id, offset })
          .where('digest', '=', digestBytes(digest))
          .where('pack', 'in', from)
          .execute();
      }
      const emptied = await trx
        .deleteFrom('pack')
        .where('id', 'in', [...from, id])
        .where((where) =>
          where.not(
            where.exists(where.selectFrom('blob').select('digest').whereRef('blob.pack', '=', 'pack.id')),
          ),
        )
        .returning('name')
        .execute();
      return emptied.map((row) => row.name);
    });
  }

  /** The packs that hold blobs, or will. */
  async packs(): Promise<{ id: number; name: string; state: 'writing' | 'ready'; size: number }[]> {
    return this.#database.read((db) =>
      db.selectFrom('pack').select(['id', 'name', 'state', 'size']).orderBy('id').execute(),
    );
  }

  /** The blobs of a pack in the order they lie, at most `limit` of them, beginning behind `after`. */
  async blobsOfPack(pack: number, after: PackEntry | undefined, limit: number): Promise<PackEntry[]> {
    const lastDigest = after === undefined ? Buffer.alloc(0) : digestBytes(after.digest);
    const rows = await this.#database.read((db) =>
      db
        .selectFrom('blob')
        .select(['digest', 'offset', 'size'])
        .where('pack', '=', pack)
        .$if(after !== undefined, (query) =>
          query.where((where) =>
            where(where.refTuple('offset', 'digest'), '>', where.tuple(after?.offset ?? 0, lastDigest)),
          ),
        )
        .orderBy('offset')
        .orderBy('digest')
        .limit(limit)
        .execute(),
    );
    return rows.map((row) => ({ digest: digestOf(row.digest), offset: row.offset, size: row.size }));
  }

  /** How many blobs there are, and their bytes. */
  async totals(): Promise<{ blobs: number; bytes: number }> {
    const row = await this.#database.read((db) =>
      db
        .selectFrom('blob')
        .select((select) => [select.fn.countAll().as('blobs'), select.fn.sum('size').as('bytes')])
        .executeTakeFirstOrThrow(),
    );
    return { blobs: Number(row.blobs), bytes: Number(row.bytes ?? 0) };
  }
}

async function requireLease(db: Queries, lease: string): Promise<void> {
  const row = await db.selectFrom('lease').select('id').where('id', '=', lease).executeTakeFirst();
  if (row === undefined) throw leaseLost();
}

async function markReady(trx: Queries, lease: string, pack: FinishedPack): Promise<number> {
  const row = await trx
    .updateTable('pack')
    .set({ state: 'ready', lease: null, size: pack.size })
    .where('name', '=', pack.name)
    .where('lease', '=', lease)
    .returning('id')
    .executeTakeFirst();
  if (row === undefined) throw leaseLost();
  return row.id;
}

function leaseLost(): StoreError {
  return new StoreError(
    'LEASE_LOST',
    'this write was still for so long that a gc took it for dead; nothing of it was kept: run the command again.',
  );
}
