import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { startIpmiSim } from '../node/power/ipmi-sim.js';
import { type EmulatorOptions, type RedfishEmulator, startRedfish } from '../node/power/redfish-emulator.js';
import { startSshd } from '../ssh/sshd.js';
import { newSite, type Outcome } from './in-process.js';

interface Rack extends Awaited<ReturnType<typeof newSite>> {
  readonly bmcs: readonly RedfishEmulator[];
}

/** Lines of text, sorted: those of nodes come in the order in which the nodes are done. */
const sorted = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .sort();

/** A site whose nodes n1, n2 … are in rack1 and have a Redfish BMC each. */
async function rackOf(t: ExecutionContext, bmcs: readonly EmulatorOptions[], config = ''): Promise<Rack> {
  const site = await newSite(t);
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-rack-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const started: RedfishEmulator[] = [];
  for (const options of bmcs) {
    const emulator = await startRedfish(dir, options);
    t.teardown(() => emulator.stop());
    started.push(emulator);
    const name = `n${started.length}`;
    const words = ['--mac', `5254000000${String(started.length).padStart(2, '0')}`, '--group', 'rack1'];
    const attributes = ['mgt=redfish', 'bmc=127.0.0.1', `bmcserviceport=${emulator.port}`];
    const pin = `bmcfingerprint=${emulator.fingerprint}`;
    for (const attribute of [...attributes, pin]) words.push('--attr', attribute);
    await succeed(t, site.rackboot('node', 'add', name, ...words));
  }
  const secrets = join(site.dir, 'bmc-passwords.yaml');
  const first = started[0];
  await writeFile(
    secrets,
    `default: { username: '${first?.username ?? ''}', password: '${first?.password ?? ''}' }\n`,
  );
  await chmod(secrets, 0o600);
  await writeFile(
    join(site.dir, 'rackboot.yaml'),
    `http: { listen: '127.0.0.1:8080' }\npower:\n  credentials: bmc-passwords.yaml\n  timeout: 120\n${config}`,
  );
  return { ...site, bmcs: started };
}

async function succeed(t: ExecutionContext, running: Promise<Outcome>): Promise<Outcome> {
  const outcome = await running;
  t.is(outcome.status, 0, outcome.err);
  return outcome;
}

test('a rack is switched: a line for each node, and the range is shown first', async (t) => {
  const { rackboot, json, bmcs } = await rackOf(t, [{}, { power: 'On' }, { taskPolls: 1 }]);
  const stat = await succeed(t, rackboot('power', 'rack1', 'stat'));
  t.deepEqual(sorted(stat.out), ['n1: off', 'n2: on', 'n3: off']);
  t.is(stat.err, 'rack1 is 3 nodes: n[1-3]\n');
  const boot = await succeed(t, rackboot('power', 'rack1', 'boot', '--next', 'net', '--uefi'));
  t.deepEqual(sorted(boot.out), ['n1: off on', 'n2: on reset', 'n3: off on']);
  t.deepEqual(
    bmcs.map(({ machine }) => machine.boots),
    [['Pxe UEFI'], ['Pxe UEFI'], ['Pxe UEFI']],
  );
  t.deepEqual(await json('power', 'n1,n2', 'status'), [
    { node: 'n1', ok: true, result: 'on' },
    { node: 'n2', ok: true, result: 'on' },
  ]);
  await succeed(t, rackboot('power', 'rack1', 'off', '--parallel', '1'));
  t.deepEqual(
    bmcs.map(({ machine }) => machine.power),
    ['Off', 'Off', 'Off'],
  );
  t.deepEqual(
    bmcs.map((bmc) => bmc.openSessions()),
    [0, 0, 0],
  );
});

test('half of a rack fails: the others are done, each failure has a line, and the exit status is 1', async (t) => {
  const { rackboot, bmcs } = await rackOf(t, [{}, {}, {}, {}, { resetTypes: ['ForceOff'] }]);
  await bmcs[1]?.stop();
  await rackboot('node', 'set', 'n3', '--attr', `bmcfingerprint=${'00'.repeat(32)}`);
  await rackboot('node', 'set', 'n4', '--attr', 'mgt=');
  const outcome = await rackboot('power', 'rack1', 'on');
  t.is(outcome.status, 1);
  t.is(outcome.out, 'n1: on\n');
  const lines = outcome.err.trimEnd().split('\n');
  t.is(lines.at(0), 'rack1 is 5 nodes: n[1-5]');
  t.is(lines.at(-1), 'rackboot: 4 of 5 nodes failed: n[2-5]; see the lines above');
  const [n2, n3, n4, n5, ...more] = lines.slice(1, -1).sort();
  t.deepEqual(more, []);
  t.regex(n2 ?? '', /^n2: 127\.0\.0\.1:\d+ does not answer Redfish \(ECONNREFUSED\)/);
  t.regex(n3 ?? '', /^n3: 127\.0\.0\.1:\d+ shows another certificate/);
  t.regex(n4 ?? '', /^n4: nothing says how it is switched/);
  t.regex(n5 ?? '', /^n5: 127\.0\.0\.1:\d+ cannot be told on; it knows: ForceOff/);
  const json = await rackboot('--json', 'power', 'n1,n2', 'stat');
  t.is(json.status, 1);
  const [first, second] = JSON.parse(json.out) as { ok: boolean; code?: string }[];
  t.like(first, { ok: true, result: 'on' });
  t.like(second, { node: 'n2', ok: false, code: 'UNREACHABLE' });
});

test('a wrong password is a line of each node, and neither it nor the right one is shown anywhere', async (t) => {
  const { rackboot, dir } = await rackOf(t, [{}, { sessions: false }]);
  await writeFile(join(dir, 'bmc-passwords.yaml'), "default: { username: operator, password: 'guess-55' }\n");
  const outcome = await rackboot('power', 'rack1', 'on');
  t.is(outcome.status, 1);
  t.is(outcome.err.match(/does not let 'operator' in/g)?.length, 2);
  t.notRegex(outcome.out + outcome.err, /guess-55/);
  const database = await readFile(join(dir, 'state.db'), 'latin1');
  t.false(database.includes('guess-55'));
  await chmod(join(dir, 'bmc-passwords.yaml'), 0o640);
  const open = await rackboot('power', 'n1', 'on');
  t.is(open.status, 1);
  t.regex(open.err, /^n1: .*others may read these passwords; run: chmod 600/);
});

test('what is set to boot stays as it is, whatever is switched', async (t) => {
  const { rackboot } = await rackOf(t, [{}]);
  await succeed(t, rackboot('nodeset', 'n1', 'osimage=d12'));
  for (const verb of ['on', 'reset', 'cycle', 'off', 'boot']) await succeed(t, rackboot('power', 'n1', verb));
  t.is((await rackboot('nodeset', 'n1', 'stat')).out, 'n1: osimage d12\n');
});

const refused: readonly (readonly [number, RegExp, readonly string[]])[] = [
  [2, /cannot 'rest' a machine \(did you mean 'reset'\?\)/, ['power', 'n1', 'rest']],
  [
    2,
    /--next goes with on, reset, cycle and boot: off starts no machine/,
    ['power', 'n1', 'off', '--next', 'net'],
  ],
  [2, /--uefi says how to boot from the device of --next/, ['power', 'n1', 'on', '--uefi']],
  [2, /parallel.*whole number from 1 to 1024/, ['power', 'n1', 'on', '--parallel', '0']],
  [2, /stagger.*number of seconds up to 600/, ['power', 'n1', 'on', '--stagger', '-1']],
  [1, /no node or group called n9; nothing was done/, ['power', 'n1,n9', 'on']],
  [1, /selects no node/, ['power', 'n1,-n1', 'on']],
  [2, /cannot 'load' a medium; write insert, eject or stat/, ['media', 'n1', 'load']],
  [2, /--boot goes with insert/, ['media', 'n1', 'eject', '--boot']],
  [2, /--url takes an http:\/\/ or https:\/\/ URL/, ['media', 'n1', 'insert', '--url', 'ftp://x/y.iso']],
  [2, /--power boots nodes over the network, and offline/, ['nodeset', 'n1', 'offline', '--power']],
  [2, /--power boots nodes over the network, and stat/, ['nodeset', 'n1', 'stat', '--power']],
  [2, /the database holds no passwords/, ['node', 'set', 'n1', '--attr', 'bmcpassword=hush']],
  [2, /--stagger is about --power/, ['nodeset', 'n1', 'boot', '--stagger', '1']],
];
test('refused whole, in one line, with nothing asked of any BMC', async (t) => {
  const { rackboot, bmcs } = await rackOf(t, [{}]);
  for (const [status, message, words] of refused) {
    const outcome = await rackboot(...words);
    t.is(outcome.status, status, words.join(' '));
    t.regex(outcome.err, message);
    t.is(outcome.err.trimEnd().split('\n').length, 1);
    t.is(outcome.out, '');
  }
  t.deepEqual(bmcs[0]?.log, []);
});

test('three kinds of machines in one range: IPMI, Redfish and ssh', async (t) => {
  const { rackboot, dir, bmcs } = await rackOf(t, [{ power: 'On' }], '  ipmi: { cipher: 3 }\n');
  const sim = await startIpmiSim(join(dir, 'sim'));
  t.teardown(() => sim.stop());
  const told = join(dir, 'rebooted');
  const sshd = await startSshd(join(dir, 'sshd'), [`ForceCommand echo "$SSH_ORIGINAL_COMMAND" >> "${told}"`]);
  t.teardown(() => sshd.stop());
  const passwords = [
    `default: { username: '${bmcs[0]?.username ?? ''}', password: '${bmcs[0]?.password ?? ''}' }`,
    `nodes: { i1: { username: '${sim.username}', password: '${sim.password}' } }`,
  ];
  await writeFile(join(dir, 'bmc-passwords.yaml'), `${passwords.join('\n')}\n`);
  const ssh = `{ user: ${userInfo().username}, keys: ['${sshd.key}'], knownHosts: '${sshd.knownHosts}' }`;
  await writeFile(
    join(dir, 'rackboot.yaml'),
    `${await readFile(join(dir, 'rackboot.yaml'), 'utf8')}  ssh: ${ssh}\n`,
  );
  const add = (name: string, mac: string, ...attributes: string[]): Promise<Outcome> =>
    rackboot('node', 'add', name, '--mac', mac, ...attributes.flatMap((each) => ['--attr', each]));
  await succeed(t, add('i1', '525400000011', 'mgt=ipmi', 'bmc=127.0.0.1', `bmcserviceport=${sim.port}`));
  await succeed(t, add('s1', '525400000012', 'mgt=ssh', `sshport=${sshd.port}`));
  await succeed(t, rackboot('node', 'set', 's1', '--ip', '127.0.0.1'));
  const boot = await succeed(t, rackboot('power', 'all', 'boot'));
  t.deepEqual(sorted(boot.out), ['i1: off on', 'n1: on reset', 's1: on reset']);
  t.deepEqual(await sim.told(), ['power 1']);
  t.is(await readFile(told, 'utf8'), 'reboot\n');
  const set = await rackboot('nodeset', 'all', 'osimage=d12', '--power');
  t.is(set.status, 0, set.err);
  t.deepEqual(sorted(set.out), [
    'i1,n1,s1: boot -> osimage d12',
    'i1: on reset',
    'n1: on reset',
    's1: on reset (its boot order stays as it is)',
  ]);
  t.deepEqual((await sim.told()).slice(1), ['boot pxe', 'reset 1']);
  t.deepEqual(bmcs[0]?.machine.boots, ['usual', 'Pxe Legacy']);
  const on = await rackboot('power', 's1', 'on');
  t.is(on.status, 1);
  t.regex(on.err, /^s1: on cannot be done by ssh/);
});

test('nodeset --power boots those that were set, and no others', async (t) => {
  const { rackboot, bmcs } = await rackOf(t, [{ power: 'On' }, {}, {}]);
  await succeed(t, rackboot('nodeset', 'n1', 'osimage=d12'));
  await rackboot('node', 'set', 'n2', '--attr', 'serialport=0');
  await bmcs[2]?.stop();
  const dry = await rackboot('nodeset', 'rack1', 'osimage=d12', '--power', '--dry-run');
  t.regex(dry.out, /^dry run: nothing is changed or booted; without it these nodes boot/);
  t.deepEqual(bmcs[0]?.machine.boots, []);
  const outcome = await rackboot('nodeset', 'rack1', 'osimage=d12', '--power');
  t.is(outcome.status, 1);
  t.deepEqual(sorted(outcome.out), ['n1: on reset', 'n1: unchanged', 'n3: boot -> osimage d12']);
  t.regex(outcome.err, /^n3: .* does not answer Redfish/m);
  t.regex(outcome.err, /^n2: serialport is set and serialspeed is not/m);
  t.deepEqual(bmcs[0]?.machine.boots, ['Pxe Legacy']);
  t.deepEqual(bmcs[1]?.machine.boots, []);
  const json = await rackboot('--json', 'nodeset', 'n1', 'boot', '--power');
  t.like(JSON.parse(json.out), { dryRun: false, power: [{ node: 'n1', ok: true, result: 'on reset' }] });
});

test('media: the node’s ISO goes in, is booted from, and out', async (t) => {
  const { rackboot, dir, json, bmcs } = await rackOf(t, [{}, {}]);
  const unset = await rackboot('media', 'rack1', 'insert');
  t.is(unset.status, 1);
  t.regex(unset.err, /^n1: it is not set to an osimage, so it has no ISO; set it with: rackboot nodeset n1/m);
  t.deepEqual(bmcs[0]?.log, []);
  await succeed(t, rackboot('nodeset', 'n1', 'osimage=d12'));
  const url = 'http://127.0.0.1:8080/nodes/n1.iso';
  t.is((await succeed(t, rackboot('media', 'n1', 'insert', '--boot', '--uefi'))).out, `n1: ${url}, off on\n`);
  t.deepEqual(bmcs[0]?.machine.boots, ['Cd UEFI']);
  t.deepEqual(await json('media', 'rack1', 'stat'), [
    { node: 'n1', ok: true, result: url },
    { node: 'n2', ok: true, result: 'empty' },
  ]);
  t.is((await succeed(t, rackboot('media', 'n1', 'eject'))).out, 'n1: empty\n');
  const other = 'https://mirror.example/tools.iso';
  t.is((await succeed(t, rackboot('media', 'n2', 'insert', '--url', other))).out, `n2: ${other}\n`);
  await rackboot('node', 'set', 'n1', '--attr', 'bmc=bmc1.example');
  t.regex((await rackboot('media', 'n1', 'insert')).err, /its attribute bmc is a name/);
  await rackboot('node', 'set', 'n1', '--attr', 'bmc=10.1.1.1');
  t.regex((await rackboot('media', 'n1', 'insert')).err, /no BMC reaches http:\/\/127\.0\.0\.1:8080/);
  await rackboot('node', 'set', 'n1', '--attr', 'mgt=ipmi');
  await writeFile(
    join(dir, 'rackboot.yaml'),
    'power: { credentials: bmc-passwords.yaml }\nhttp: { url: http://10.1.0.1 }\n',
  );
  t.regex(
    (await rackboot('media', 'n1', 'insert')).err,
    /virtual media takes Redfish, and it is controlled by ipmi/,
  );
});

test('what a BMC or a machine says drives no terminal and makes up no line', async (t) => {
  const { rackboot, bmcs, json } = await rackOf(t, [{}]);
  const image = 'http://x/\u001b[2J\nn9: on';
  if (bmcs[0] !== undefined) bmcs[0].machine.image = image;
  t.is((await succeed(t, rackboot('media', 'n1', 'stat'))).out, 'n1: http://x/\\x1b[2J\\x0an9: on\n');
  t.deepEqual(await json('media', 'n1', 'stat'), [{ node: 'n1', ok: true, result: image }]);
  await rackboot('node', 'set', 'n1', '--attr', 'bmcsystem=\u001b]0;x');
  t.regex(
    (await rackboot('power', 'n1', 'stat')).err,
    /^n1: \S+ has no system '\\x1b\]0;x'; set bmcsystem to/,
  );
});

test('an address that swallows everything is given up in time', async (t) => {
  const { rackboot } = await rackOf(t, [{}]);
  const sink = createServer((socket) => void socket.on('error', () => undefined));
  sink.listen(0, '127.0.0.1');
  await once(sink, 'listening');
  t.teardown(() => sink.close());
  const { port } = sink.address() as AddressInfo;
  await rackboot('node', 'set', 'n1', '--attr', `bmcserviceport=${port}`);
  const outcome = await rackboot('power', 'n1', 'stat', '--timeout', '0.5');
  t.is(outcome.status, 1);
  t.regex(
    outcome.err,
    /^n1: 127\.0\.0\.1:\d+ did not answer in time; see whether it is reachable, or give it longer with --timeout\n/,
  );
});

test('doctor says which nodes could not be switched, and asks none', async (t) => {
  const { rackboot, bmcs } = await rackOf(t, [{}, {}, {}]);
  const powerChecks = async (): Promise<unknown[]> => {
    const { out } = await rackboot('--json', 'doctor');
    return (JSON.parse(out) as { what: string }[]).filter(({ what }) => what === 'power');
  };
  const well = { what: 'power', state: 'ok', detail: '3 nodes say how they are switched', mend: null };
  t.deepEqual(await powerChecks(), [well]);
  for (const name of ['n1', 'n3']) await rackboot('node', 'set', name, '--attr', 'bmc=');
  const [found, ...more] = await powerChecks();
  t.deepEqual(more, []);
  t.like(found, { state: 'warning', detail: 'nodes n1, n3: no BMC of it is known' });
  t.deepEqual(
    bmcs.map(({ log }) => log),
    [[], [], []],
  );
});

test('Ctrl-C logs out of the BMCs and says which machines may have been told', async (t) => {
  const { dir, bmcs } = await rackOf(t, [{ taskPolls: 1_000_000 }, { taskPolls: 1_000_000 }]);
  const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
  const child = spawn(process.execPath, [program, '--site', dir, 'power', 'rack1', 'on'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(child, 'close') as Promise<[number | null]>;
  const isTold = (): boolean => bmcs.every(({ machine }) => machine.power === 'On');
  while (!isTold() && child.exitCode === null) await sleep(20);
  t.deepEqual(
    bmcs.map((bmc) => bmc.openSessions()),
    [1, 1],
  );
  child.kill('SIGINT');
  t.deepEqual(await ended, [1, null]);
  t.is(said.match(/^n[12]: was begun when the command was stopped; ask it with: power stat$/gm)?.length, 2);
  t.deepEqual(
    bmcs.map((bmc) => bmc.openSessions()),
    [0, 0],
  );
});
