import type { StrangerRecord, StrangerState } from '../records.js';
import type { StateDatabase } from './database.js';

/** Strangers kept; beyond that the one not seen for longest is forgotten, so that made-up MAC addresses fill no disk. */
const MOST_KEPT = 4096;

/** Machines that asked for an address and are no node's, in the database. */
export class StrangerRows implements StrangerState {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async record({ mac, client, uuid, port, at }: Parameters<StrangerState['record']>[0]): Promise<void> {
    const seen = { client, uuid, port, last_seen: at };
    await this.#database.write(
      async (trx) => {
        await trx
          .insertInto('stranger')
          .values({ mac, first_seen: at, ...seen })
          .onConflict((conflict) => conflict.column('mac').doUpdateSet(seen))
          .execute();
        const surplus = await trx
          .selectFrom('stranger')
          .select('mac')
          .orderBy('last_seen', 'desc')
          .orderBy('mac')
          .limit(MOST_KEPT)
          .offset(MOST_KEPT)
          .execute();
        for (const row of surplus) await trx.deleteFrom('stranger').where('mac', '=', row.mac).execute();
      },
      { durable: false },
    );
  }

  async list(): Promise<readonly StrangerRecord[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('stranger')
        .selectAll()
        .where('mac', 'not in', (of) => of.selectFrom('node_mac').select('node_mac.mac'))
        .orderBy('last_seen', 'desc')
        .orderBy('mac')
        .execute();
      return rows.map(({ mac, client, uuid, port, first_seen, last_seen }) => ({
        mac,
        client,
        uuid,
        port,
        firstSeen: first_seen,
        lastSeen: last_seen,
      }));
    });
  }
}
