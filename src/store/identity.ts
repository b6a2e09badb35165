import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { codeOf } from '../errors.js';
import { fileError, StoreError } from './errors.js';
import type { StoreLayout } from './layout.js';
import type { StateDatabase } from './state/database.js';

/** The name of the file in store/ that holds the id its database holds too. */
const idFile = 'id';

/**
 * Throws StoreError STORE_MISMATCH when store/ has been used and the SQLite file `path` is missing or empty: a new
 * database would know none of the packs, and gc would remove them all. To be asked before the database is opened.
 */
export async function requireDatabaseOf(layout: StoreLayout, path: string): Promise<void> {
  if (!(await isMissingOrEmpty(path))) return;
  if ((await readId(layout)) === undefined) return;
  throw new StoreError(
    'STORE_MISMATCH',
    `${path}: missing or empty, but ${layout.root} has been filled under it; put it back from a backup, or remove ` +
      `${layout.root} as well to begin anew.`,
  );
}

/** The random id that a database has from its first day. */
export async function identityOf(database: StateDatabase): Promise<string> {
  const row = await database.read((db) =>
    db.selectFrom('store_identity').select('id').executeTakeFirstOrThrow(),
  );
  return row.id;
}

/**
 * Makes sure that the store directory and the database belong together: they carry the same random id, the directory
 * in its file `id`. A directory without one gets it unless its packs say otherwise (a site of an older rackboot, or a
 * new one). Throws StoreError STORE_MISMATCH.
 */
export async function requireSameStore(layout: StoreLayout, database: StateDatabase): Promise<void> {
  const expected = await identityOf(database);
  const found = await readId(layout);
  if (found === expected) return;
  if (found !== undefined) {
    throw new StoreError(
      'STORE_MISMATCH',
      `${layout.root}: belongs to another database than ${database.name} (store ${found}, database ${expected}); ` +
        'put back the one that was replaced, from a backup.',
    );
  }
  const doubt = await doubtAbout(layout, database);
  // Another process may have opened the site meanwhile, and filled it.
  if (doubt !== undefined && (await readId(layout)) !== expected) throw doubt;
  await writeId(layout, expected);
}

/** Why a directory without an id may not be given the database's: the one knows nothing of the other's packs. */
async function doubtAbout(layout: StoreLayout, database: StateDatabase): Promise<StoreError | undefined> {
  const onDisk = await layout.listFinishedPacks().catch((error: unknown) => {
    throw fileError(error, layout.root);
  });
  const known = await database.read((db) =>
    db.selectFrom('pack').select('name').where('state', '=', 'ready').execute(),
  );
  if (known.some(({ name }) => onDisk.includes(name))) return undefined;
  if (known.length > 0) {
    return new StoreError(
      'STORE_MISMATCH',
      `${layout.root}: holds none of the packs that ${database.name} knows (${known.length}); mount it, or put it back from a backup.`,
    );
  }
  if (onDisk.length > 0) {
    return new StoreError(
      'STORE_MISMATCH',
      `${layout.root}: holds packs (${onDisk.length}), but ${database.name} knows none; put the database back from a ` +
        `backup, or remove ${layout.root} to begin anew.`,
    );
  }
  return undefined;
}

async function readId(layout: StoreLayout): Promise<string | undefined> {
  const path = join(layout.root, idFile);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw fileError(error, path);
  }
}

async function writeId(layout: StoreLayout, id: string): Promise<void> {
  const path = join(layout.root, idFile);
  const partial = join(layout.root, `${idFile}.${randomBytes(8).toString('hex')}`);
  try {
    const file = await open(partial, 'wx', 0o600);
    try {
      await file.writeFile(`${id}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw fileError(error, path);
  }
}

async function isMissingOrEmpty(path: string): Promise<boolean> {
  try {
    return (await stat(path)).size === 0;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw fileError(error, path);
  }
}
