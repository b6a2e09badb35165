import { readdir, stat, writeFile } from 'node:fs/promises';
import Database from 'better-sqlite3';
import test from 'ava';
import { openStore } from '../../../src/store/store.js';
import { putAll, temporarySite, temporaryStore } from '../temporary-site.js';
import { addressFacts } from './address-suite.js';
import { eventFacts } from './event-suite.js';
import { gcFacts } from './gc-suite.js';
import { nodeFacts } from './node-suite.js';
import { osimageFacts } from './osimage-suite.js';

osimageFacts(temporaryStore);
nodeFacts(temporaryStore);
eventFacts(temporaryStore);
addressFacts(temporaryStore);
gcFacts(temporaryStore);

test('many stores of one site may be opened at once, the first time too', async (t) => {
  const site = await temporarySite(t);
  const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(site)));
  const appended = stores.flatMap((store) =>
    Array.from({ length: 25 }, () =>
      store.events.append({
        at: 1,
        node: null,
        stage: 's',
        detail: '',
        bytes: null,
        ms: null,
        generation: null,
        client: null,
      }),
    ),
  );
  const ids = (await Promise.all(appended)).map(({ id }) => id);
  t.is(new Set(ids).size, 200);
  for (const store of stores) await store.close();
});

test('the database is in WAL mode, with foreign keys whole, and closed leaves one file', async (t) => {
  const { site, store } = await temporaryStore(t);
  await putAll(store, ['x']);
  await store.close();
  const database = new Database(site.paths.database);
  t.is(database.pragma('journal_mode', { simple: true }), 'wal');
  t.deepEqual(database.pragma('foreign_key_check'), []);
  t.is(database.pragma('integrity_check', { simple: true }), 'ok');
  database.close();
  t.deepEqual((await readdir(site.dir)).sort(), ['state.db', 'store']);
  t.is((await stat(site.paths.database)).mode & 0o777, 0o600);
});

test('a database of a newer rackboot is refused, and left as it is', async (t) => {
  const { site, store } = await temporaryStore(t);
  await store.close();
  const database = new Database(site.paths.database);
  database.prepare("insert into kysely_migration values ('9999-future', '2999-01-01')").run();
  database.close();
  await t.throwsAsync(openStore(site), {
    code: 'DATABASE_NEWER',
    message: /state\.db: written by a newer rackboot \(it has '9999-future'\)/,
  });
});

test('a file that is no database is refused in one line', async (t) => {
  const site = await temporarySite(t);
  await writeFile(
    site.paths.database,
    'this is not a database, only a text file that is long enough\n'.repeat(20),
  );
  const error = await t.throwsAsync(openStore(site), { code: 'DATABASE_DAMAGED' });
  t.regex(error.message, /^\S+state\.db is not a database[^\n]*$/);
});

test('a lock held by someone else is waited for', async (t) => {
  const { site, store } = await temporaryStore(t);
  const other = new Database(site.paths.database);
  other.exec('begin immediate');
  let done = false;
  const removed = store.nodes.remove(['n1']).then(() => {
    done = true;
  });
  await store.nodes.list();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.false(done);
  other.exec('commit');
  await removed;
  other.close();
});
