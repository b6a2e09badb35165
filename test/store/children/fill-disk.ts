/** On a small file system of its own: what happens when it is full, and when it is read-only. Prints what it saw, as JSON. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { siteAt } from '../../../src/site/site.js';
import { defaultConfig } from '../../../src/site/config.js';
import { codeOf, messageOf } from '../../../src/errors.js';
import { openStore } from '../../../src/store/store.js';
import { noise, putAll, request } from '../temporary-site.js';

const dir = process.argv[2] ?? '';
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', dir]);
const site = siteAt(dir, defaultConfig());
const seen: Record<string, unknown> = {};

async function caught(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return 'no error';
  } catch (error) {
    return { code: codeOf(error), message: messageOf(error).replaceAll(dir, 'DIR') };
  }
}

async function* endless(): AsyncGenerator<Buffer> {
  for (let round = 0; round < 1000; round++) yield noise(round, 100_000);
}

const store = await openStore(site);
const blobs = await putAll(store, [noise(1, 500_000), 'small']);
await store.osimages.publish(request(blobs, 'a', null), { create: true });
seen['stream'] = await caught(() => store.write('fill', (writer) => writer.putStream(endless())));
seen['put'] = await caught(() =>
  store.write('fill', async (writer) => {
    for (let round = 0; round < 1000; round++) await writer.put(noise(round, 100_000));
  }),
);
seen['swallowed'] = await caught(() =>
  store.write('fill', async (writer) => {
    await writer.putStream(endless()).catch(() => undefined);
    await writer.put(Buffer.from('after'));
  }),
);
seen['temporary'] = readdirSync(join(site.paths.store, 'tmp'));
seen['packs'] = readdirSync(join(site.paths.store, 'packs')).length;
seen['gc'] = await store.gc({ dryRun: false });
seen['problems'] = (await store.verify()).problems;
seen['current'] = (await store.osimages.get('d12'))?.current;
seen['again'] = (await putAll(store, ['there is room again'])).length;
await store.close();

execFileSync('mount', ['-o', 'remount,ro', dir]);
seen['readOnly'] = await caught(() => openStore(site));
process.stdout.write(JSON.stringify(seen));
