import type { EventRecord, EventState } from '../records.js';
import type { StateDatabase } from './database.js';

/** What happened to nodes, in the database. The last events may be lost in a power cut, never in a crash. */
export class EventRows implements EventState {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async append(event: Omit<EventRecord, 'id'>): Promise<EventRecord> {
    const { at, node, stage, detail, bytes, ms, generation, client } = event;
    const values = { at, node, stage, detail, bytes, ms, generation, client };
    return this.#database.write(
      (trx) => trx.insertInto('event').values(values).returningAll().executeTakeFirstOrThrow(),
      { durable: false },
    );
  }

  async since(after: number, limit: number): Promise<EventRecord[]> {
    return this.#database.read((db) =>
      db.selectFrom('event').selectAll().where('id', '>', after).orderBy('id').limit(limit).execute(),
    );
  }

  async ofNode(node: string, limit: number): Promise<EventRecord[]> {
    return this.#database.read((db) =>
      db
        .selectFrom('event')
        .selectAll()
        .where('node', '=', node)
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    );
  }

  async latest(node: string, stage: string): Promise<EventRecord | undefined> {
    return this.#database.read((db) =>
      db
        .selectFrom('event')
        .selectAll()
        .where('node', '=', node)
        .where('stage', '=', stage)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst(),
    );
  }

  async lastId(): Promise<number> {
    const row = await this.#database.read((db) =>
      db.selectFrom('event').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst(),
    );
    return row?.id ?? 0;
  }
}
