import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { PowerDesk } from '../../../src/node/power/desk.js';
import { changeMedium } from '../../../src/node/power/medium.js';
import { isoToInsert } from '../../../src/node/power/node-iso.js';
import { defaultConfig, type SiteConfig } from '../../../src/site/config.js';
import { runSite } from '../../pxe/http/running-site.js';
import { startRedfish } from './redfish-emulator.js';

/** The bytes `start` to `end` of what a BMC at 127.0.0.21 was told to insert. */
function fetchPart(url: string, start: number, end: number): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const headers = { range: `bytes=${start}-${end - 1}` };
    request(url, { localAddress: '127.0.0.21', headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      response.once('error', reject);
    })
      .once('error', reject)
      .end();
  });
}

test('the BMC that is told to insert a node’s ISO gets its bytes from the server', async (t) => {
  const site = await runSite(t);
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-media-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const fetched: { status: number; body: Buffer }[] = [];
  const bmc = await startRedfish(dir, {
    onInsert: async (url) => void fetched.push(await fetchPart(url, 32768, 34816)),
  });
  t.teardown(() => bmc.stop());
  const secrets = join(dir, 'passwords.yaml');
  await writeFile(secrets, `default: { username: ${bmc.username}, password: ${bmc.password} }\n`);
  await chmod(secrets, 0o600);
  // The first address is spoken to, each of them may fetch.
  const attributes = { mgt: 'redfish', bmc: '127.0.0.1,127.0.0.21', bmcserviceport: String(bmc.port) };
  await site.addNode({
    name: 'n1',
    macs: ['52:54:00:00:00:01'],
    ip: '127.0.0.11',
    attributes: { ...attributes, bmcfingerprint: bmc.fingerprint },
  });
  await site.publish({ name: 'd12', answer: 'x' });
  const assignment = await site.assign('n1', {});
  const node = await site.store.nodes.get('n1');
  if (node === undefined) throw new Error('n1 is there');
  const defaults = defaultConfig();
  const config: SiteConfig = {
    ...defaults,
    http: { ...defaults.http, url: site.url },
    power: { ...defaults.power, credentials: secrets },
  };
  const url = isoToInsert(config, node, assignment);
  const desk = new PowerDesk({ dir, config });
  const deed = { kind: 'insert', url, boot: true } as const;
  t.is(await changeMedium(desk, node, deed, AbortSignal.timeout(60_000)), `${url}, off on`);
  t.is(fetched.length, 1);
  t.is(fetched[0]?.status, 206, fetched[0]?.body.toString('utf8', 0, 300));
  t.is(fetched[0]?.body.toString('latin1', 1, 6), 'CD001');
  t.deepEqual(bmc.machine.boots, ['Cd Legacy']);
  t.is(bmc.openSessions(), 0);
});
