import { StoreError } from '../errors.js';
import type { GenerationRecord, OsimageRecord, OsimageState, PublishRequest, Timestamp } from '../records.js';
import type { StateDatabase } from './database.js';
import { insertReferences } from './references.js';
import type { GenerationTable, OsimageTable, Queries, Row } from './tables.js';

/** Osimages and their history, in the database. */
export class OsimageRows implements OsimageState {
  readonly #database: StateDatabase;
  readonly #now: () => Timestamp;

  constructor(database: StateDatabase, now: () => Timestamp) {
    this.#database = database;
    this.#now = now;
  }

  async list(): Promise<OsimageRecord[]> {
    const rows = await this.#database.read((db) =>
      db.selectFrom('osimage').selectAll().orderBy('name').execute(),
    );
    return rows.map(osimageOf);
  }

  async get(name: string): Promise<OsimageRecord | undefined> {
    const row = await this.#database.read((db) => findOsimage(db, name));
    return row && osimageOf(row);
  }

  async publish(request: PublishRequest, options: { create: boolean }): Promise<GenerationRecord> {
    return this.#database.write(async (trx) => {
      const osimage = await findOsimage(trx, request.osimage);
      checkParent(request, osimage, options.create);
      const known = osimage && (await findGeneration(trx, request.osimage, request.id));
      if (known !== undefined) {
        await makeCurrent(trx, known.osimage, known.id);
        return generationOf(known);
      }
      const now = this.#now();
      const number = (osimage?.last_number ?? 0) + 1;
      const refs = await insertReferences(trx, this.#database.kind, request.blobs);
      await trx
        .insertInto('osimage')
        .values({
          name: request.osimage,
          family: request.family,
          current: request.id,
          last_number: number,
          created_at: now,
        })
        .onConflict((conflict) =>
          conflict
            .column('name')
            .doUpdateSet({ family: request.family, current: request.id, last_number: number }),
        )
        .execute();
      const { osimage: name, id, parent, note, manifest } = request;
      const row = { osimage: name, id, number, parent, created_at: now, note, manifest, refs };
      await trx.insertInto('generation').values(row).execute();
      return generationOf(row);
    });
  }

  async setCurrent(name: string, id: string): Promise<void> {
    await this.#database.write(async (trx) => {
      await requireGeneration(trx, name, id);
      await makeCurrent(trx, name, id);
    });
  }

  async history(name: string): Promise<GenerationRecord[]> {
    const rows = await this.#database.read((db) =>
      db.selectFrom('generation').selectAll().where('osimage', '=', name).orderBy('number', 'desc').execute(),
    );
    return rows.map(generationOf);
  }

  async generation(name: string, id: string): Promise<GenerationRecord | undefined> {
    const row = await this.#database.read((db) => findGeneration(db, name, id));
    return row && generationOf(row);
  }

  async remove(name: string): Promise<void> {
    await this.#database.write(async (trx) => {
      if ((await findOsimage(trx, name)) === undefined) throw noSuchOsimage(name);
      const node = await assignedNode(trx, name);
      if (node !== undefined) {
        throw new StoreError(
          'OSIMAGE_IN_USE',
          `osimage ${name}: node ${node} is set to it; first run: rackboot nodeset ${node} boot`,
        );
      }
      await trx.deleteFrom('osimage').where('name', '=', name).execute();
    });
  }

  async removeGeneration(name: string, id: string): Promise<void> {
    await this.#database.write(async (trx) => {
      await requireGeneration(trx, name, id);
      const osimage = await findOsimage(trx, name);
      if (osimage?.current === id) {
        throw new StoreError(
          'GENERATION_IN_USE',
          `osimage ${name}: generation ${short(id)} is the current one; first run: rackboot image rollback ${name}`,
        );
      }
      const node = await assignedNode(trx, name, id);
      if (node !== undefined) {
        throw new StoreError(
          'GENERATION_IN_USE',
          `osimage ${name}: node ${node} is set to generation ${short(id)}; first run: rackboot nodeset ${node} boot`,
        );
      }
      await trx.deleteFrom('generation').where('osimage', '=', name).where('id', '=', id).execute();
    });
  }
}

/** Throws StoreError NO_SUCH_OSIMAGE or NO_SUCH_GENERATION when the history of osimage `name` does not hold `id`. */
export async function requireGeneration(
  db: Queries,
  name: string,
  id: string,
): Promise<Row<GenerationTable>> {
  const row = await findGeneration(db, name, id);
  if (row !== undefined) return row;
  if ((await findOsimage(db, name)) === undefined) throw noSuchOsimage(name);
  throw new StoreError(
    'NO_SUCH_GENERATION',
    `osimage ${name}: there is no generation ${short(id)}; see: rackboot image history ${name}`,
  );
}

/** Throws StoreError NO_SUCH_OSIMAGE when there is no osimage `name`. */
export async function requireOsimage(db: Queries, name: string): Promise<void> {
  if ((await findOsimage(db, name)) === undefined) throw noSuchOsimage(name);
}

function checkParent(request: PublishRequest, osimage: Row<OsimageTable> | undefined, create: boolean): void {
  const name = request.osimage;
  if (create) {
    if (osimage === undefined) return;
    throw new StoreError(
      'OSIMAGE_EXISTS',
      `osimage ${name}: there is one already; choose another --name, or run: rackboot image rm ${name}`,
    );
  }
  if (osimage === undefined) throw noSuchOsimage(name);
  if (osimage.current !== request.parent) {
    throw new StoreError(
      'STALE_PARENT',
      `osimage ${name}: generation ${short(osimage.current)} became current meanwhile; run the command again to build on it.`,
    );
  }
}

function noSuchOsimage(name: string): StoreError {
  return new StoreError(
    'NO_SUCH_OSIMAGE',
    `osimage ${name}: there is none of that name; see: rackboot image ls`,
  );
}

function short(id: string): string {
  return id.slice(0, 12);
}

async function assignedNode(db: Queries, osimage: string, generation?: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('assignment')
    .select('node')
    .where('state', '=', 'osimage')
    .where('osimage', '=', osimage)
    .$if(generation !== undefined, (query) => query.where('generation', '=', generation ?? ''))
    .orderBy('node')
    .executeTakeFirst();
  return row?.node;
}

function findOsimage(db: Queries, name: string): Promise<Row<OsimageTable> | undefined> {
  return db.selectFrom('osimage').selectAll().where('name', '=', name).executeTakeFirst();
}

function findGeneration(db: Queries, name: string, id: string): Promise<Row<GenerationTable> | undefined> {
  return db
    .selectFrom('generation')
    .selectAll()
    .where('osimage', '=', name)
    .where('id', '=', id)
    .executeTakeFirst();
}

async function makeCurrent(db: Queries, name: string, id: string): Promise<void> {
  await db.updateTable('osimage').set({ current: id }).where('name', '=', name).execute();
}

function osimageOf(row: Row<OsimageTable>): OsimageRecord {
  return { name: row.name, family: row.family, current: row.current, createdAt: row.created_at };
}

function generationOf(row: Row<GenerationTable>): GenerationRecord {
  const { osimage, id, number, parent, note, manifest } = row;
  return { osimage, id, number, parent, createdAt: row.created_at, note, manifest };
}
