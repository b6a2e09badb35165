import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../src/site/assets.js';
import { ask, runSite, type RunningSite } from '../pxe/http/running-site.js';

const run = promisify(execFile);

const IMAGE = 'rocky9.4-x86_64-netboot-compute';
const STATE = 'netboot rocky9.4-x86_64-compute';
const LINE =
  'imgurl=http://!myipfn!:80//install/x/rootimg.cpio.gz XCAT=!myipfn!:3001 NODE=NODENAME FC=0 XCATHTTPPORT=80  selinux=0 ';

interface Response {
  readonly node?: readonly {
    readonly name: readonly string[];
    readonly data?: readonly string[];
    readonly error?: readonly string[];
    readonly errorcode?: readonly number[];
    readonly warning?: readonly string[];
  }[];
  readonly data?: readonly string[];
  readonly error?: readonly string[];
  readonly errorcode?: readonly number[];
  readonly warning?: readonly string[];
}

type Tables = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>;

interface Outcome {
  readonly handles: unknown;
  readonly said: readonly Response[];
  readonly ran: readonly { readonly command: string; readonly node: readonly string[]; readonly arg: readonly string[] }[];
  readonly tables: Record<string, Record<string, Record<string, string>>>;
}

interface Case {
  readonly args: readonly string[];
  readonly nodes?: readonly string[];
  readonly tables?: Tables;
  readonly fails?: Readonly<Record<string, string>>;
  readonly facing?: Readonly<Record<string, unknown>>;
  readonly kcmdline?: Readonly<Record<string, string>>;
  readonly prescripts?: Readonly<Record<string, readonly unknown[]>>;
  readonly silent?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

const facing = { n1: '10.1.0.254', n2: [0, '10.1.0.254'], n3: '10.1.0.254' };

/** xCAT's tables of three nodes; `more` is put over them. */
function tables(more: Tables = {}): Tables {
  const osimage = {
    [IMAGE]: { provmethod: 'netboot', osvers: 'rocky9.4' },
    rocky9: { provmethod: 'install', osvers: 'rocky9.4' },
    gone: { provmethod: 'netboot', osvers: 'rocky8' },
  };
  return { osimage, ...more };
}

/** Runs the plugin under the system's perl, as xcatd does, against `site`. */
async function nodeset(t: ExecutionContext, site: Pick<RunningSite, 'url' | 'dir'>, input: Case): Promise<Outcome> {
  const request = {
    command: ['nodeset'],
    noderange: ['n'],
    node: input.nodes ?? ['n1', 'n2'],
    arg: input.args,
    cwd: ['/'],
    username: ['root'],
    clienttype: ['cli'],
  };
  const kcmdline = { [STATE]: LINE, ...input.kcmdline };
  const { env, args: _args, nodes: _nodes, ...rest } = input;
  const child = execFile('/usr/bin/perl', [join(packageRoot(), 'test/netboot/run-plugin.pl')], {
    timeout: 120_000,
    env: { PATH: process.env['PATH'], RACKBOOT_URL: site.url, RACKBOOT_TOKENFILE: join(site.dir, 'api.token'), ...env },
    maxBuffer: 1 << 26,
  });
  let [out, complaints] = ['', ''];
  child.stdout?.on('data', (chunk: string) => (out += chunk));
  child.stderr?.on('data', (chunk: string) => (complaints += chunk));
  child.stdin?.end(JSON.stringify({ facing, tables: tables(), ...rest, kcmdline, request }));
  const [code] = (await once(child, 'close')) as [number | null];
  t.is(complaints, '');
  t.is(code, 0);
  return JSON.parse(out) as Outcome;
}

/** What the client prints, by node: `Error: …` for errors; responses of no node under ''. */
function printed({ said }: Outcome): Record<string, string> {
  const lines: Record<string, string> = {};
  const add = (name: string, line: string): void => {
    lines[name] = name in lines ? `${lines[name] ?? ''}\n${line}` : line;
  };
  for (const { node = [], error = [], warning = [], data = [] } of said) {
    for (const each of node) {
      const [name = ''] = each.name;
      for (const text of each.error ?? []) add(name, `Error: ${text}`);
      for (const text of each.warning ?? []) add(name, `Warning: ${text}`);
      for (const text of each.data ?? []) add(name, text);
    }
    for (const text of error) add('', `Error: ${text}`);
    for (const text of warning) add('', `Warning: ${text}`);
    for (const text of data) add('', text);
  }
  return lines;
}

/** The exit status of xCAT's client. */
function exitOf({ said }: Outcome): number {
  return said.reduce(
    (status, { errorcode = [], node = [] }) =>
      [...errorcode, ...node.flatMap((each) => each.errorcode ?? [])].reduce((a, b) => a | b, status),
    0,
  );
}

async function site(t: ExecutionContext): Promise<RunningSite> {
  const running = await runSite(t);
  for (const n of [1, 2, 3])
    await running.addNode({ name: `n${n}`, macs: [`52:54:00:00:00:0${n}`], ip: `127.0.0.1${n}` });
  await running.publish({
    name: IMAGE,
    files: { kernel: Buffer.from('k'), 'initrd-stateless.gz': Buffer.from('i'), 'rootimg.cpio.gz': Buffer.from('r') },
    boot: [
      {
        kind: 'linux',
        label: 'netboot',
        title: 'Netboot',
        kernel: 'kernel',
        initrds: ['initrd-stateless.gz'],
        args: 'imgurl={{ files }}/rootimg.cpio.gz XCAT={{ xcat.master }}:3001 {{ xcat.bootif }}',
      },
    ],
    settings: { provmethod: 'netboot', osvers: 'rocky9.4', osarch: 'x86_64', profile: 'compute' },
  });
  await running.publish({ name: 'rocky9' });
  await running.publish({ name: 'genesis' });
  return running;
}

const scriptOf = async (running: RunningSite, n: number): Promise<string> =>
  (await ask(running, `/nodes/n${n}/boot.ipxe`, { from: `127.0.0.1${n}` })).text;

test('perl finds nothing to warn of in it', async (t) => {
  const [doubles, plugin] = ['test/netboot/doubles', 'netboot/xcat/xCAT_plugin/rackboot.pm'];
  const { stderr } = await run('/usr/bin/perl', ['-wc', `-I${doubles}`, plugin], {
    cwd: packageRoot(),
    timeout: 60_000,
  });
  t.is(stderr, `${plugin} syntax OK\n`);
});

test('it takes the nodes whose noderes.netboot names it, and never two times', async (t) => {
  const running = await site(t);
  const outcome = await nodeset(t, running, { args: [`osimage=${IMAGE}`, '--noupdateinitrd'] });
  t.deepEqual(outcome.handles, { nodeset: 'noderes:netboot' });
  t.deepEqual(printed(outcome), { n1: STATE, n2: STATE });
  t.is(exitOf(outcome), 0);
  t.deepEqual(outcome.ran, [
    { command: 'runbeginpre', node: ['n1', 'n2'], arg: [`osimage=${IMAGE}`] },
    { command: 'setdestiny', node: ['n1', 'n2'], arg: [`osimage=${IMAGE}`, '--noupdateinitrd'] },
    { command: 'runendpre', node: ['n1', 'n2'], arg: [`osimage=${IMAGE}`] },
  ]);
});

test('the node boots the generation’s files with xCAT’s kernel line', async (t) => {
  const running = await site(t);
  const outcome = await nodeset(t, running, {
    args: [`osimage=${IMAGE}`],
    tables: tables({
      bootparams: { n1: { addkcmdline: 'mine=1 R::later=1 rack=#NODEATTRIB:nodepos:rack# u=#TABLE:nodepos:$NODE:u#' } },
      nodepos: { n1: { rack: 'A7', u: '12' } },
      linuximage: { [IMAGE]: { addkcmdline: 'image=1 R::image=2' } },
    }),
  });
  t.is(exitOf(outcome), 0);
  const image = /\/images\/[^/]+\/files/.exec(await scriptOf(running, 1))?.[0] ?? '';
  const script = (await scriptOf(running, 1)).split('\n').find((line) => line.includes('imgurl='));
  t.true(
    script?.includes(
      `imgurl=${running.url}${image}/rootimg.cpio.gz XCAT=10.1.0.254:3001 NODE=n1 FC=0 XCATHTTPPORT=80 selinux=0 mine=1 rack=A7 u=12 image=1 BOOTIF=01-52-54-00-00-00-01`,
    ),
    script,
  );
  t.regex(await scriptOf(running, 2), /NODE=n2 FC=0 XCATHTTPPORT=80 selinux=0 image=1 BOOTIF=01-52-54-00-00-00-02/);
  t.false((await scriptOf(running, 1)).includes('later'));
});

test('every verb', async (t) => {
  const running = await site(t);
  const after = async (args: string[], more: Omit<Case, 'args'> = {}): Promise<[string | undefined, unknown]> => {
    const outcome = await nodeset(t, running, { args, nodes: ['n1'], ...more });
    const { state, osimage, destiny } = (await running.store.nodes.assignment('n1')) ?? {};
    return [printed(outcome)['n1'], destiny ?? (state === 'osimage' ? osimage : state)];
  };
  const kcmdline = { shell: 'quiet xcatd=!myipfn!:3001 destiny=shell' };
  t.deepEqual(await after(['osimage=rocky9']), ['install rocky9.4-x86_64-compute', 'rocky9']);
  t.deepEqual(await after(['boot']), ['boot', 'boot']);
  t.deepEqual(await after(['shell'], { kcmdline }), ['shell', 'shell']);
  t.regex(await scriptOf(running, 1), /xcatd=10\.1\.0\.254:3001 destiny=shell/);
  t.deepEqual(await after(['standby']), ['standby', 'standby']);
  t.deepEqual(await after(['runcmd=bmcsetup', '-V']), ['runcmd=bmcsetup', 'runcmd=bmcsetup']);
  t.deepEqual(await after(['runimage=http://m/x.tgz']), ['runimage=http://m/x.tgz', 'runimage=http://m/x.tgz']);
  t.deepEqual(await after(['offline']), ['offline', 'offline']);
  t.deepEqual(await after(['shutdown']), ['shutdown', 'boot']);
  const chained = tables({ chain: { n1: { currstate: 'runcmd=bmcsetup', currchain: `osimage=${IMAGE}` } } });
  t.deepEqual(await after(['next'], { tables: chained }), [STATE, IMAGE]);
  const installing = tables({ chain: { n1: { currstate: 'install rocky9.4-x86_64-compute', currchain: 'boot' } } });
  t.deepEqual(await after(['next'], { tables: installing }), ['boot', 'boot']);
  const set = tables({ chain: { n1: { currstate: STATE } }, nodetype: { n1: { provmethod: IMAGE } } });
  t.deepEqual(await after(['enact'], { tables: set }), [STATE, IMAGE]);
  t.deepEqual(await after(['runcmd=bmcsetup,osimage=rocky9']), ['runcmd=bmcsetup', 'runcmd=bmcsetup']);
  t.is((await running.store.nodes.assignment('n1'))?.chain, undefined);
});

test('stat tells what rackboot knows and changes nothing', async (t) => {
  const running = await site(t);
  await running.assign('n1', { osimage: IMAGE });
  await running.assign('n2', { state: 'offline' });
  const outcome = await nodeset(t, running, {
    args: ['stat'],
    nodes: ['n1', 'n2', 'n3', 'n4'],
    env: { RACKBOOT_TOKENFILE: '/nonexistent' },
  });
  t.deepEqual(printed(outcome), {
    n1: STATE,
    n2: 'offline',
    n3: 'boot',
    n4: 'Error: rackboot has no node of that name; add it with: rackboot node import',
  });
  t.is(exitOf(outcome), 1);
  t.deepEqual(outcome.ran, []);
});

test('osimage alone: each node’s own, which setdestiny refuses for loaders it does not know', async (t) => {
  const running = await site(t);
  const outcome = await nodeset(t, running, {
    args: ['osimage', '--ignorekernelchk'],
    nodes: ['n1', 'n2', 'n3'],
    tables: tables({ nodetype: { n1: { provmethod: 'rocky9' }, n2: { provmethod: IMAGE }, n3: {} } }),
  });
  t.deepEqual(printed(outcome), {
    n1: 'install rocky9.4-x86_64-compute',
    n2: STATE,
    n3: 'Error: OS image name must be specified in nodetype.provmethod',
  });
  t.deepEqual(
    outcome.ran.filter(({ command }) => command === 'setdestiny').map(({ arg }) => arg),
    [['osimage=rocky9', '--ignorekernelchk'], [`osimage=${IMAGE}`, '--ignorekernelchk']],
  );
  t.is((await running.store.nodes.assignment('n1'))?.osimage, 'rocky9');
});

test('one of many nodes fails: in xCAT, in rackboot, or for want of an address', async (t) => {
  const running = await site(t);
  const outcome = await nodeset(t, running, {
    args: [`osimage=${IMAGE}`],
    nodes: ['n1', 'n2', 'n3', 'n4'],
    fails: { n2: 'No MAC address available for this node' },
    facing: { n1: '10.1.0.254', n4: '10.1.0.254' },
  });
  t.deepEqual(printed(outcome), {
    n1: STATE,
    n2: 'Error: No MAC address available for this node',
    n3: 'Error: no address of this server is on a network of the node\'s; set noderes.xcatmaster',
    n4: 'Error: rackboot has no node of that name; add it with: rackboot node import (the node keeps what rackboot had for it; mend that and run nodeset again)',
  });
  t.is(exitOf(outcome), 1);
  t.is(await running.store.nodes.assignment('n2'), undefined);
  t.is(await running.store.nodes.assignment('n3'), undefined);
  t.deepEqual(outcome.ran.at(-1), { command: 'runendpre', node: ['n1'], arg: [`osimage=${IMAGE}`] });
});

test('an osimage that rackboot has not, or a state that it cannot do', async (t) => {
  const running = await site(t);
  const gone = await nodeset(t, running, { args: ['osimage=gone'], nodes: ['n1'] });
  t.regex(printed(gone)['n1'] ?? '', /^Error: no osimage "gone"; .*\(the node keeps what rackboot had for it/);
  const iscsi = await nodeset(t, running, { args: ['iscsiboot'], nodes: ['n1'] });
  t.is(
    printed(iscsi)['n1'],
    "Error: rackboot cannot do 'iscsiboot'; use xnba, pxe or grub2 as noderes.netboot for that",
  );
  t.is(await running.store.nodes.assignment('n1'), undefined);
});

test('what setdestiny refuses for all nodes ends it', async (t) => {
  const running = await site(t);
  const outcome = await nodeset(t, running, { args: ['osimage=nope'] });
  t.deepEqual(printed(outcome), { '': 'Error: Cannot find the OS image nope in the osimage table.' });
  t.is(exitOf(outcome), 1);
  t.deepEqual(await running.store.nodes.assignments(), []);
});

test('setdestiny that only writes into the chain table is believed', async (t) => {
  const running = await site(t);
  const outcome = await nodeset(t, running, { args: [`osimage=${IMAGE}`], nodes: ['n1'], silent: true });
  t.deepEqual(printed(outcome), { n1: STATE });
});

test('prescripts that fail keep nodes from being set', async (t) => {
  const running = await site(t);
  const some = await nodeset(t, running, {
    args: ['boot'],
    prescripts: { runbeginpre: [{ node: [{ name: ['n2'], error: ['script x failed'], errorcode: [4] }] }] },
  });
  t.deepEqual(printed(some), { n1: 'boot', n2: 'Error: script x failed' });
  t.is(exitOf(some), 4);
  const all = await nodeset(t, running, {
    args: ['boot'],
    prescripts: { runbeginpre: [{ error: ['no prescripts'], errorcode: [1] }] },
  });
  t.deepEqual(printed(all), { '': 'Error: no prescripts' });
  t.false(all.ran.some(({ command }) => command === 'setdestiny'));
});

for (const [what, args, message] of [
  ['nothing', [], /^Error: Invalid argument: ''\nUsage: nodeset <noderange>/],
  ['two states', ['boot', 'shell'], /^Error: Invalid argument: 'boot shell'\n/],
  ['an unknown option', ['--nope', 'boot'], /^Error: Invalid argument: '--nope boot'\n/],
  ['-a with another verb', ['-a', 'boot'], /^Error: '-a' could only be used with 'stat' subcommand\.$/],
] as const) {
  test(`asked for ${what}: refused before anything is done`, async (t) => {
    const running = await site(t);
    const outcome = await nodeset(t, running, { args });
    t.regex(printed(outcome)[''] ?? '', message);
    t.is(exitOf(outcome), 1);
    t.deepEqual(outcome.ran, []);
  });
}

test('help is printed and is no failure', async (t) => {
  const outcome = await nodeset(t, { url: 'http://127.0.0.1:9', dir: '/' }, { args: ['--help'] });
  t.regex(printed(outcome)[''] ?? '', /^Usage: nodeset <noderange> osimage/);
  t.is(exitOf(outcome), 0);
});

test('a rackboot that is down, a wrong token, a token others may read: xCAT’s tables stay as they are', async (t) => {
  const running = await site(t);
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, 'close');
  const wrong = join(running.dir, 'wrong.token');
  await writeFile(wrong, `${'x'.repeat(43)}\n`, { mode: 0o600 });
  const open = join(running.dir, 'open.token');
  await writeFile(open, running.token);
  await chmod(open, 0o644);
  const empty = join(running.dir, 'empty.token');
  await writeFile(empty, '', { mode: 0o600 });
  for (const [env, message] of [
    [{ RACKBOOT_URL: `http://127.0.0.1:${port}` }, /^Error: rackboot at http:\S+ does not answer: .*; is rackboot serve running\?$/],
    [{ RACKBOOT_TOKENFILE: wrong }, /^Error: rackboot at http:\S+ refuses the token in \S+wrong\.token; put there what api\.token of its site holds$/],
    [{ RACKBOOT_TOKENFILE: open }, /^Error: \S+open\.token may be read by others; make it yours alone: chmod 600 \S+open\.token$/],
    [{ RACKBOOT_TOKENFILE: empty }, /^Error: \S+empty\.token holds no token; copy api\.token of the rackboot site there$/],
    [{ RACKBOOT_TOKENFILE: join(running.dir, 'none') }, /^Error: \S+none cannot be read: No such file or directory; copy/],
    [{ RACKBOOT_URL: 'http://10.1.0.1:8080' }, /^Error: rackboot_url 'http:\/\/10\.1\.0\.1:8080': the token may travel by https:\/\/ only/],
    [{ RACKBOOT_URL: `${running.url}/nowhere` }, /^Error: rackboot at \S+: HTTP 404 and no answer of rackboot's; check rackboot_url$/],
    [{ RACKBOOT_TIMEOUT: 'soon' }, /^Error: rackboot_timeout 'soon' is no number of seconds$/],
  ] as const) {
    const outcome = await nodeset(t, running, { args: ['boot'], env });
    t.regex(printed(outcome)[''] ?? '', message);
    t.is(exitOf(outcome), 1);
    t.deepEqual(outcome.ran, []);
    t.false(JSON.stringify(outcome).includes(running.token));
  }
});

test('settings come from the site table, and the environment of xcatd goes before', async (t) => {
  const running = await site(t);
  const siteTable = {
    rackboot_url: { value: running.url },
    rackboot_tokenfile: { value: join(running.dir, 'api.token') },
    rackboot_timeout: { value: '30' },
  };
  const env = { RACKBOOT_URL: '', RACKBOOT_TOKENFILE: '', http_proxy: 'http://127.0.0.1:9' };
  const outcome = await nodeset(t, running, { args: ['boot'], tables: tables({ site: siteTable }), env });
  t.deepEqual(printed(outcome), { n1: 'boot', n2: 'boot' });
  const other = await nodeset(t, running, {
    args: ['boot'],
    tables: tables({ site: { ...siteTable, rackboot_url: { value: 'http://127.0.0.1:9' } } }),
  });
  t.deepEqual(printed(other), { n1: 'boot', n2: 'boot' });
});

/** A server in rackboot's place that takes the first request, and answers the second with `status` and `body`, or never. */
async function standIn(t: ExecutionContext, second: { status: number; body: string } | 'silence'): Promise<string> {
  let asked = 0;
  const server = createServer((req, res) => {
    req.resume();
    asked += 1;
    if (asked === 1) res.end('{"nodes":[],"warnings":[]}');
    else if (second !== 'silence') res.writeHead(second.status, { 'Content-Type': 'application/json' }).end(second.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const KEPT = ' (the node keeps what rackboot had for it; mend that and run nodeset again)';
for (const [what, second, message] of [
  ['is silent', 'silence', /^Error: rackboot at http:\S+ does not answer: Timed out .*; is rackboot serve running\? \(the node keeps/],
  ['breaks', { status: 500, body: '{"error":{"code":"INTERNAL","message":"internal error – see the node’s log"}}' }, /^Error: rackboot at http:\S+: internal error – see the node’s log \(the node keeps/],
  ['answers nonsense', { status: 200, body: '<html>' }, /^Error: rackboot at \S+: HTTP 200 and no answer of rackboot's; check rackboot_url \(the node keeps/],
  ['answers a list', { status: 200, body: '[]' }, /^Error: rackboot at \S+: HTTP 200 and no answer of rackboot's; check rackboot_url \(the node keeps/],
  ['forgets a node', { status: 200, body: '{"nodes":[{"node":"n2","from":"a","to":"b"}],"warnings":["n2 has little memory – ½ GB"]}' }, /^Error: rackboot did not say what became of it \(the node keeps/],
] as const) {
  // Serial: its answers must not wait for other tests.
  test.serial(`a server that ${what} meanwhile fails its nodes, one by one`, async (t) => {
    const running = await site(t);
    const url = await standIn(t, second);
    const outcome = await nodeset(t, running, { args: ['boot'], env: { RACKBOOT_URL: url, RACKBOOT_TIMEOUT: '10' } });
    const lines = printed(outcome);
    t.regex(lines['n1'] ?? '', message);
    t.true(lines['n1']?.endsWith(KEPT));
    t.is(exitOf(outcome), 1);
    if (what === 'forgets a node') {
      t.is(lines['n2'], 'boot');
      t.is(lines[''], 'Warning: n2 has little memory – ½ GB');
    } else t.is(lines['n2'], lines['n1']);
  });
}

test('letters outside ASCII come to the client whole, in errors and out of the tables', async (t) => {
  const running = await site(t);
  const outcome = await nodeset(t, running, {
    args: [`osimage=${IMAGE}`],
    fails: { n2: 'kein Rechner für „n2“' },
    kcmdline: { [STATE]: 'quiet' },
    tables: tables({ bootparams: { n1: { addkcmdline: 'place=Zürich–Ost' } } }),
  });
  t.regex(printed(outcome)['n1'] ?? '', /other than printable ASCII: .*place=Zürich–Ost.*; encode it/);
  t.is(printed(outcome)['n2'], 'Error: kein Rechner für „n2“');
});

test('1200 nodes go in several requests', async (t) => {
  const running = await site(t);
  const names = Array.from({ length: 1200 }, (_, n) => `m${n}`);
  for (const [n, name] of names.entries())
    await running.addNode({ name, macs: [`0200000${(0x10000 + n).toString(16)}`] });
  const outcome = await nodeset(t, running, {
    args: [`osimage=${IMAGE}`],
    nodes: names,
    facing: Object.fromEntries(names.map((name) => [name, '10.1.0.254'])),
  });
  t.is(exitOf(outcome), 0);
  t.is(Object.values(printed(outcome)).filter((line) => line === STATE).length, 1200);
  const rows = await running.store.nodes.assignments();
  t.is(rows.filter(({ line }) => line?.includes('XCAT=10.1.0.254:3001') === true).length, 1200);
});
