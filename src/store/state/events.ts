import type { EventRecord, EventState, HistoryBounds, NewEvent } from '../records.js';
import type { StateDatabase } from './database.js';
import { pruneEvents } from './event-pruning.js';
import type { DatabaseKind } from './migrations.js';
import { ListStatement } from './rows.js';
import type { Queries } from './tables.js';

const insertAll = new ListStatement<never>(
  ({ rows }) => `
    insert into event (at, node, stage, detail, bytes, ms, generation, client)
    select cast(value->>0 as bigint), value->>1, value->>2, value->>3, cast(value->>4 as bigint),
      cast(value->>5 as double precision), value->>6, value->>7
    from ${rows} where true`,
);

/** What happened to nodes, in the database. The last events may be lost in a power cut, never in a crash. */
export class EventRows implements EventState {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async append(event: NewEvent): Promise<EventRecord> {
    return this.#database.write((trx) => insertEvent(trx, event), { durable: false });
  }

  async appendAll(events: readonly NewEvent[]): Promise<void> {
    if (events.length === 0) return;
    await this.#database.write((trx) => insertEvents(trx, this.#database.kind, events), { durable: false });
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

  prune(bounds: HistoryBounds): AsyncIterable<number> {
    return pruneEvents(this.#database, bounds);
  }
}

/** Writes `event` in the transaction `trx`. */
export async function insertEvent(trx: Queries, event: NewEvent): Promise<EventRecord> {
  const { at, node, stage, detail, bytes, ms, generation, client } = event;
  const values = { at, node, stage, detail, bytes, ms, generation, client };
  return trx.insertInto('event').values(values).returningAll().executeTakeFirstOrThrow();
}

/** Appends many events in the transaction `trx`. */
export async function insertEvents(
  trx: Queries,
  kind: DatabaseKind,
  events: readonly NewEvent[],
): Promise<void> {
  const values = events.map(({ at, node, stage, detail, bytes, ms, generation, client }) => [
    ...[at, node, stage, detail, bytes, ms, generation, client],
  ]);
  await insertAll.run(trx, kind, values);
}
