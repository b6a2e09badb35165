import { StoreError } from '../errors.js';
import type { GenerationTable, OsimageTable, Queries, Row } from './tables.js';

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

/** The row of osimage `name`, or undefined. */
export function findOsimage(db: Queries, name: string): Promise<Row<OsimageTable> | undefined> {
  return db.selectFrom('osimage').selectAll().where('name', '=', name).executeTakeFirst();
}

/** The row of generation `id` of osimage `name`, or undefined. */
export function findGeneration(
  db: Queries,
  name: string,
  id: string,
): Promise<Row<GenerationTable> | undefined> {
  return db
    .selectFrom('generation')
    .selectAll()
    .where('osimage', '=', name)
    .where('id', '=', id)
    .executeTakeFirst();
}

/** The error that there is no osimage `name`. */
export function noSuchOsimage(name: string): StoreError {
  return new StoreError(
    'NO_SUCH_OSIMAGE',
    `osimage ${name}: there is none of that name; see: rackboot image ls`,
  );
}

/** The part of a generation id that messages show. */
export function short(id: string): string {
  return id.slice(0, 12);
}
