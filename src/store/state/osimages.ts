import { StoreError } from '../errors.js';
import type {
  AssignmentRecord,
  GenerationRecord,
  OsimageRecord,
  OsimageState,
  PublishRequest,
  Reassign,
  Timestamp,
} from '../records.js';
import { changeAttribute, reassign, usersOf } from './assignments.js';
import type { StateDatabase } from './database.js';
import {
  findGeneration,
  findOsimage,
  noSuchOsimage,
  requireGeneration,
  requireOsimage,
  short,
} from './generations.js';
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
      for (const change of request.attributes ?? []) await changeAttribute(trx, change);
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

  async remove(name: string, reassigned?: Reassign): Promise<readonly AssignmentRecord[]> {
    return this.#database.write(async (trx) => {
      await requireOsimage(trx, name);
      const users = await usersOf(trx, name);
      if (reassigned !== undefined) await reassign(trx, this.#database.kind, reassigned(users));
      else if (users.length > 0) throw inUse('OSIMAGE_IN_USE', `osimage ${name}`, users);
      await trx.deleteFrom('osimage').where('name', '=', name).execute();
      return users;
    });
  }

  async removeGeneration(
    name: string,
    id: string,
    reassigned?: Reassign,
  ): Promise<readonly AssignmentRecord[]> {
    return this.#database.write(async (trx) => {
      await requireGeneration(trx, name, id);
      const osimage = await findOsimage(trx, name);
      if (osimage?.current === id) {
        throw new StoreError(
          'GENERATION_IN_USE',
          `osimage ${name}: generation ${short(id)} is the current one; first run: rackboot image rollback ${name}`,
        );
      }
      const users = await usersOf(trx, name, id);
      if (reassigned !== undefined) await reassign(trx, this.#database.kind, reassigned(users));
      else if (users.length > 0)
        throw inUse('GENERATION_IN_USE', `osimage ${name} generation ${short(id)}`, users);
      await trx.deleteFrom('generation').where('osimage', '=', name).where('id', '=', id).execute();
      return users;
    });
  }
}

function inUse(
  code: 'OSIMAGE_IN_USE' | 'GENERATION_IN_USE',
  what: string,
  users: readonly AssignmentRecord[],
): StoreError {
  const shown = users.slice(0, 8).map(({ node }) => node);
  const more = users.length > shown.length ? ` and ${users.length - shown.length} more` : '';
  return new StoreError(
    code,
    `${what}: ${shown.join(', ')}${more} will boot it; set them to something else with nodeset, or use --force`,
  );
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
