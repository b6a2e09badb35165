import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseNode } from '../../../src/node/nodes.js';
import { PowerDesk } from '../../../src/node/power/desk.js';
import { PowerError } from '../../../src/node/power/errors.js';
import { parseConfig } from '../../../src/site/parse.js';
import { type RedfishEmulator, startRedfish } from './redfish-emulator.js';

async function siteOf(t: ExecutionContext): Promise<{ dir: string; bmc: RedfishEmulator }> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-desk-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const bmc = await startRedfish(dir);
  t.teardown(() => bmc.stop());
  const secrets = `default: { username: ${bmc.username}, password: ${bmc.password} }\n`;
  await writeFile(join(dir, 'passwords'), secrets, { mode: 0o600 });
  return { dir, bmc };
}

async function askState(dir: string, bmc: RedfishEmulator, redfish: string, pin?: string): Promise<string> {
  const config = parseConfig(
    `power: { credentials: passwords, retries: 0, redfish: ${redfish} }`,
    'rackboot.yaml',
  );
  const attributes = { mgt: 'redfish', bmc: '127.0.0.1', bmcserviceport: String(bmc.port) };
  const node = parseNode({
    name: 'n1',
    macs: ['52:54:00:00:00:01'],
    attributes: pin === undefined ? attributes : { ...attributes, bmcfingerprint: pin },
  });
  const control = await new PowerDesk({ dir, config }).open(node, AbortSignal.timeout(60_000));
  try {
    return await control.state();
  } finally {
    await control.close();
  }
}

test('whose certificates are trusted is what rackboot.yaml says; a node’s pin comes first', async (t) => {
  const { dir, bmc } = await siteOf(t);
  const other = await startRedfish(dir);
  t.teardown(() => other.stop());
  await copyFile(bmc.ca, join(dir, 'ca.pem'));
  await writeFile(join(dir, 'no.pem'), 'nothing');
  t.is(await askState(dir, bmc, '{ ca: ca.pem }'), 'off');
  t.is(await askState(dir, bmc, `{ ca: ${bmc.ca} }`), 'off');
  t.is(await askState(dir, bmc, '{ certificates: any }'), 'off');
  t.is(await askState(dir, bmc, '{}', bmc.fingerprint), 'off');
  const refused: [string, string | undefined, RegExp][] = [
    ['{}', undefined, /DEPTH_ZERO_SELF_SIGNED_CERT/],
    [`{ ca: ${basename(other.ca)} }`, undefined, /not trusted/],
    ['{ certificates: any }', other.fingerprint, /another certificate/],
    ['{ ca: absent.pem }', undefined, /absent\.pem: cannot be read \(ENOENT\); power\.redfish\.ca names it/],
    ['{ ca: no.pem }', undefined, /no\.pem: holds no certificate in PEM/],
  ];
  for (const [redfish, pin, message] of refused) {
    const error = await t.throwsAsync(askState(dir, bmc, redfish, pin), { instanceOf: PowerError });
    t.is(error.code, 'BAD_CERTIFICATE');
    t.regex(error.message, message);
  }
});
