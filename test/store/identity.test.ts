import { copyFile, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, Migrator, SqliteDialect } from 'kysely';
import test, { type ExecutionContext } from 'ava';
import type { Site } from '../../src/site/site.js';
import { migrationsFor } from '../../src/store/state/migrations.js';
import { openStore } from '../../src/store/store.js';
import { holds, putAll, request, temporarySite, temporaryStore } from './temporary-site.js';

/** A closed site whose store holds one generation. */
async function filledSite(t: ExecutionContext): Promise<Site> {
  const { site, store } = await temporaryStore(t);
  const blobs = await putAll(store, ['precious']);
  await store.osimages.publish(request(blobs, 'one', null), { create: true });
  await store.close();
  return site;
}

/** Makes the site what the first rackboot, from before store ids, would have left. */
async function makeOld(site: Site): Promise<void> {
  await rm(join(site.paths.store, 'id'));
  const first = '0001-first';
  const migration = migrationsFor('sqlite')[first];
  if (migration === undefined) throw new Error('the first migration is gone');
  const old = join(site.dir, 'old.db');
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: new Database(old) }) });
  const { error } = await new Migrator({
    db,
    provider: { getMigrations: async () => ({ [first]: migration }) },
  }).migrateToLatest();
  await db.destroy();
  if (error !== undefined) throw new Error('the old site was not made', { cause: error });
  copyRows(site.paths.database, old);
  await rename(old, site.paths.database);
}

/** Copies the rows of all tables that the database `to` has from `from`. */
function copyRows(from: string, to: string): void {
  const database = new Database(to);
  database.pragma('foreign_keys = off');
  database.exec(`attach '${from}' as new`);
  const tables = database
    .prepare("select name from main.sqlite_master where type = 'table' and name not glob '*[_]migration*'")
    .pluck()
    .all()
    .filter((name) => !String(name).startsWith('sqlite_'));
  for (const table of tables) {
    const columns = database
      .prepare(`select name from pragma_table_info('${String(table)}')`)
      .pluck()
      .all();
    const list = columns.map((column) => `"${String(column)}"`).join(', ');
    database.exec(`insert into main.${String(table)} (${list}) select ${list} from new.${String(table)}`);
  }
  database.close();
}

async function refuses(t: ExecutionContext, site: Site, message: RegExp): Promise<void> {
  const packs = await readdir(join(site.paths.store, 'packs'));
  const error = await t.throwsAsync(openStore(site), { code: 'STORE_MISMATCH', message });
  t.false(error.message.includes('\n'));
  t.deepEqual(await readdir(join(site.paths.store, 'packs')), packs);
}

test('the store directory and the database carry the same id', async (t) => {
  const site = await filledSite(t);
  const database = new Database(site.paths.database, { readonly: true });
  t.deepEqual(database.prepare('select id from store_identity').all(), [
    { id: (await readFile(join(site.paths.store, 'id'), 'utf8')).trim() },
  ]);
  database.close();
});

test('a full store without its database is refused, and no empty database is made', async (t) => {
  const site = await filledSite(t);
  await rename(site.paths.database, join(site.dir, 'backup'));
  await refuses(t, site, /state\.db: missing or empty, but .* put it back from a backup/);
  t.false((await readdir(site.dir)).includes('state.db'));
  await rename(join(site.dir, 'backup'), site.paths.database);
  const store = await openStore(site);
  t.is((await store.osimages.list()).length, 1);
  await store.close();
});

test('a full store with an emptied database is refused', async (t) => {
  const site = await filledSite(t);
  await truncate(site.paths.database, 0);
  await refuses(t, site, /state\.db: missing or empty/);
});

test("a full store with another site's database is refused", async (t) => {
  const site = await filledSite(t);
  const other = await filledSite(t);
  await copyFile(other.paths.database, site.paths.database);
  await refuses(t, site, /store: belongs to another database than .*state\.db/);
});

test('a database whose store is not there is refused until the store is back', async (t) => {
  const site = await filledSite(t);
  await rename(site.paths.store, join(site.dir, 'unmounted'));
  await t.throwsAsync(openStore(site), { code: 'STORE_MISMATCH', message: /holds none of the packs/ });
  await rm(site.paths.store, { recursive: true });
  await rename(join(site.dir, 'unmounted'), site.paths.store);
  await (await openStore(site)).close();
});

test('a site begins anew when the store is removed with its database', async (t) => {
  const site = await filledSite(t);
  await rm(site.paths.store, { recursive: true });
  await rm(site.paths.database);
  const store = await openStore(site);
  t.deepEqual(await store.osimages.list(), []);
  await store.close();
});

test('a site of a rackboot before store ids gets one and keeps what it holds', async (t) => {
  const site = await filledSite(t);
  await makeOld(site);
  const store = await openStore(site);
  t.is((await store.osimages.list()).length, 1);
  await store.gc({ dryRun: false });
  const [blob] = await putAll(store, ['precious']);
  t.true(blob !== undefined && (await holds(store, blob)));
  await store.close();
  t.regex(await readFile(join(site.paths.store, 'id'), 'utf8'), /^[0-9a-f]{32}\n$/);
});

test('an old site without its database is refused too', async (t) => {
  const site = await filledSite(t);
  await makeOld(site);
  await rm(site.paths.database);
  await refuses(t, site, /holds packs \(1\), but .* knows none/);
});

test('an unreadable id is an id of its own', async (t) => {
  const site = await temporarySite(t);
  await (await openStore(site)).close();
  await writeFile(join(site.paths.store, 'id'), '');
  await refuses(t, site, /belongs to another database/);
});
