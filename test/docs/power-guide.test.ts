import { chmod, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readCredentials } from '../../src/node/power/credentials.js';
import { packageRoot } from '../../src/site/assets.js';
import { parseConfig } from '../../src/site/parse.js';
import { newSite } from '../cli/in-process.js';
import { startIpmiSim } from '../node/power/ipmi-sim.js';
import { startRedfish } from '../node/power/redfish-emulator.js';
import { startSshd } from '../ssh/sshd.js';

/** The blocks of one language in a page, or in one section of it. */
async function blocksOf(page: string, language: string, section = ''): Promise<string[]> {
  const text = await readFile(join(packageRoot(), 'docs', page), 'utf8');
  const part = section === '' ? text : (text.split(/^## /m).find((each) => each.startsWith(section)) ?? '');
  return [...part.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, block = '']) => block,
  );
}

test('every command of docs/power.md, and of the section on power of docs/xcat.md, runs', async (t) => {
  const { dir, rackboot } = await newSite(t);
  const sim = await startIpmiSim(join(dir, 'sim'));
  t.teardown(() => sim.stop());
  const bmc = await startRedfish(dir);
  t.teardown(() => bmc.stop());
  const sshd = await startSshd(join(dir, 'sshd'), ['ForceCommand true']);
  t.teardown(() => sshd.stop());
  for (const [name, port, ...groups] of [
    ['n1', sim.port, 'rack1'],
    ['n2', bmc.port, 'rack1'],
    ['n3', sim.port, 'rack1'],
    ['n4', sim.port, 'rack1'],
    ['n9', sim.port],
  ] as const) {
    const attributes = ['bmc=127.0.0.1', `bmcserviceport=${port}`, `sshport=${sshd.port}`];
    const words = [
      ...groups.flatMap((group) => ['--group', group]),
      ...attributes.flatMap((each) => ['--attr', each]),
    ];
    const added = await rackboot('node', 'add', name, '--mac', `52540000000${name.slice(1)}`, ...words);
    t.is(added.status, 0, added.err);
  }
  await rackboot('node', 'set', 'n2', '--attr', `bmcfingerprint=${bmc.fingerprint}`);
  await rackboot('node', 'set', 'n9', '--ip', '127.0.0.1');
  const secrets = join(dir, 'bmc-passwords.yaml');
  const redfish = `{ username: ${bmc.username}, password: ${bmc.password} }`;
  await writeFile(
    secrets,
    `default: { username: ${sim.username}, password: ${sim.password} }\nnodes: { n2: ${redfish} }\n`,
  );
  await chmod(secrets, 0o600);
  const ssh = `{ user: ${userInfo().username}, keys: ['${sshd.key}'], knownHosts: '${sshd.knownHosts}' }`;
  await writeFile(
    join(dir, 'rackboot.yaml'),
    `power: { credentials: bmc-passwords.yaml, timeout: 120, ipmi: { cipher: 3 }, ssh: ${ssh} }\n`,
  );
  const blocks = [...(await blocksOf('power.md', 'sh')), ...(await blocksOf('xcat.md', 'sh', 'Power'))];
  const lines = blocks.flatMap((block) => block.trimEnd().split('\n'));
  for (const line of lines) {
    // The addresses of the guide are nobody's here.
    const here = line.replace(/bmc=10\.1\.1\.\d+/, 'bmc=127.0.0.1').replace('--timeout 20', '--timeout 120');
    const [command, ...words] = (here.match(/(?:'[^']*'|[^\s'])+/g) ?? []).map((word) =>
      word.replaceAll("'", ''),
    );
    t.is(command, 'rackboot');
    const { status, err } = await rackboot(...words);
    t.is(status, 0, `${line}: ${err}`);
  }
  t.true(lines.length >= 18, `${lines.length} commands`);
  t.deepEqual(bmc.machine.boots.slice(-2), ['Cd UEFI', 'Pxe UEFI']);
  t.is(bmc.openSessions(), 0);
});

test('the files that docs/power.md shows are files that are read', async (t) => {
  const { dir } = await newSite(t);
  const blocks = await blocksOf('power.md', 'yaml');
  t.is(blocks.length, 3);
  for (const block of blocks) {
    if (block.startsWith('power:')) {
      t.truthy(parseConfig(block, 'power.md').power);
      continue;
    }
    const file = join(dir, 'shown.yaml');
    await writeFile(file, block, { mode: 0o600 });
    t.deepEqual(Object.keys((await readCredentials(file)).nodes), ['n7']);
  }
});
