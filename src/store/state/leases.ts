import type { LeaseState, Timestamp } from '../records.js';
import type { StateDatabase } from './database.js';
import { requireGeneration } from './generations.js';

/** Leases that keep a generation's blobs, in the database. One that was taken outlives the generation's row. */
export class LeaseRows implements LeaseState {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Throws StoreError NO_SUCH_GENERATION or NO_SUCH_OSIMAGE when there is nothing left to hold. */
  async holdGeneration(lease: {
    kind: 'boot' | 'transfer';
    holder: string;
    osimage: string;
    generation: string;
    expiresAt: Timestamp;
  }): Promise<void> {
    const { kind, holder, osimage, generation, expiresAt } = lease;
    const id = JSON.stringify([kind, holder, osimage, generation]);
    await this.#database.write(
      async (trx) => {
        const held = await trx
          .selectFrom('lease')
          .select('expires_at')
          .where('id', '=', id)
          .executeTakeFirst();
        if (held !== undefined) {
          if (held.expires_at >= expiresAt) return;
          await trx.updateTable('lease').set({ expires_at: expiresAt }).where('id', '=', id).execute();
          return;
        }
        const { refs } = await requireGeneration(trx, osimage, generation);
        await trx
          .insertInto('lease')
          .values({ id, kind, holder, osimage, generation, refs, expires_at: expiresAt })
          .execute();
      },
      { durable: false },
    );
  }
}
