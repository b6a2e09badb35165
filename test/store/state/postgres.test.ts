import test, { type ExecutionContext } from 'ava';
import { siteConfigSchema } from '../../../src/site/config.js';
import { siteAt, type Site } from '../../../src/site/site.js';
import type { Store } from '../../../src/store/records.js';
import { openStore, type StoreOptions } from '../../../src/store/store.js';
import { putAll, temporaryDirectory } from '../temporary-site.js';
import { addressFacts } from './address-suite.js';
import { eventFacts } from './event-suite.js';
import { gcFacts } from './gc-suite.js';
import { nodeFacts } from './node-suite.js';
import { osimageFacts } from './osimage-suite.js';
import { PostgresServer } from './postgres-server.js';

let server: PostgresServer | undefined;

test.before(async () => {
  server = await PostgresServer.start();
});
test.after.always(() => server?.stop());

async function newSite(t: ExecutionContext): Promise<Site> {
  const database = await server!.newDatabase();
  return siteAt(await temporaryDirectory(t), siteConfigSchema.parse({ database }));
}

async function open(t: ExecutionContext, options: StoreOptions = {}): Promise<{ site: Site; store: Store }> {
  const site = await newSite(t);
  const store = await openStore(site, options);
  t.teardown(() => store.close());
  return { site, store };
}

osimageFacts(open);
nodeFacts(open);
eventFacts(open);
addressFacts(open);
gcFacts(open);

test('many stores of one site may be opened at once, the first time too', async (t) => {
  const site = await newSite(t);
  const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(site)));
  t.deepEqual(await stores[3]!.osimages.list(), []);
  for (const store of stores) await store.close();
});

test('a store is refused by another database, and a database by another store', async (t) => {
  const site = await newSite(t);
  const store = await openStore(site);
  await putAll(store, ['precious']);
  await store.close();
  const emptied = siteAt(site.dir, (await newSite(t)).config);
  await t.throwsAsync(openStore(emptied), {
    code: 'STORE_MISMATCH',
    message: /store: belongs to another database than postgres:\/\/localhost\//,
  });
  const unmounted = siteAt(await temporaryDirectory(t), site.config);
  await t.throwsAsync(openStore(unmounted), { code: 'STORE_MISMATCH', message: /holds none of the packs/ });
});

test('a database that is not there is one line, without the password', async (t) => {
  const config = siteConfigSchema.parse({ database: server!.urlOf('nowhere') });
  const error = await t.throwsAsync(openStore(siteAt(await temporaryDirectory(t), config)), {
    code: 'DATABASE_UNREACHABLE',
  });
  t.regex(error.message, /^postgres:\/\/localhost\/nowhere: [^\n]*mend `database` in rackboot\.yaml\.$/);
  t.false(error.message.includes('secret'));
});

test('a server that is not there is one line', async (t) => {
  const config = siteConfigSchema.parse({ database: 'postgres://localhost/x?host=%2Fnonexistent' });
  await t.throwsAsync(openStore(siteAt(await temporaryDirectory(t), config)), {
    code: 'DATABASE_UNREACHABLE',
    message: /does not answer/,
  });
});
