import { connect, type Socket } from 'node:net';
import { execa } from 'execa';
import test, { type ExecutionContext } from 'ava';
import { startXcatReports, type XcatReports } from '../../../src/pxe/xcat-report/server.js';
import { runSite, type RunningSite } from '../http/running-site.js';

async function monitor(
  t: ExecutionContext,
  macOf: (address: string) => Promise<string | undefined> = async () => undefined,
): Promise<{ site: RunningSite; reports: XcatReports }> {
  const site = await runSite(t);
  await site.publish({ name: 'd12' });
  await site.addNode({ name: 'n1', macs: ['525400000001'], ip: '127.0.0.2' });
  await site.addNode({ name: 'n2', macs: ['525400000002'], ip: '127.0.0.3' });
  const reports = await startXcatReports(site.servers.service, '127.0.0.1', 0, macOf);
  t.teardown(() => reports.close());
  return { site, reports };
}

/** The node boots what it is set to, as far as the server sees it. */
async function boot(site: RunningSite, node: string): Promise<void> {
  await site.store.events.append({
    at: site.clock.now,
    node,
    stage: 'script',
    detail: '',
    bytes: null,
    ms: null,
    generation: null,
    client: null,
  });
}

/** Everything the server says to a client at `from` that sends `line` once it is told `ready`. */
function say(port: number, line: string | Buffer, from = '127.0.0.2'): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket: Socket = connect({ host: '127.0.0.1', port, localAddress: from });
    socket.setTimeout(30_000, () => reject(new Error(`no end after ${JSON.stringify(heard)}`)));
    socket.on('data', (chunk) => {
      const first = heard === '';
      heard += chunk.toString('latin1');
      if (first) socket.write(line);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
  });
}

test('statuses go into the node’s history, and booted is the end of a boot', async (t) => {
  const { site, reports } = await monitor(t);
  await site.assign('n1', {});
  await boot(site, 'n1');
  for (const stage of ['netbooting', 'postbooting', 'booted'])
    t.is(await say(reports.port, `installstatus ${stage}\n`), 'ready\ndone\n');
  t.deepEqual(await site.stages('n1'), ['script', 'netbooting', 'postbooting', 'booted']);
  t.deepEqual(await site.stages('n2'), []);
  t.like(await site.store.nodes.assignment('n1'), { state: 'osimage' });
});

test('next ends an install: the node boots from its disk; said again it changes nothing', async (t) => {
  const { site, reports } = await monitor(t);
  await site.assign('n1', {});
  await boot(site, 'n1');
  t.is(await say(reports.port, 'next\n'), 'ready\ndone\n');
  t.like(await site.store.nodes.assignment('n1'), { state: 'boot', osimage: 'd12' });
  const before = await site.store.nodes.assignment('n1');
  t.is(await say(reports.port, 'next\n'), 'ready\ndone\n');
  t.deepEqual(await site.store.nodes.assignment('n1'), before);
  t.deepEqual(await site.stages('n1'), ['script', 'installed']);
});

test('next of an earlier boot does not end what the node was set to since', async (t) => {
  const { site, reports } = await monitor(t);
  await boot(site, 'n1');
  site.clock.now += 1000;
  await site.assign('n1', {});
  t.is(await say(reports.port, 'next\n'), 'ready\ndone\n');
  t.like(await site.store.nodes.assignment('n1'), { state: 'osimage' });
  t.true(site.log.some((line) => line.includes('it has not booted what it is set to')));
});

test('next goes on with a chain, step by step', async (t) => {
  const { site, reports } = await monitor(t);
  await site.assign('n1', {
    destiny: 'runcmd=bmcsetup',
    chain: [
      { state: 'osimage', osimage: 'd12', entry: 'install' },
      { state: 'boot', osimage: null, entry: null },
    ],
  });
  await boot(site, 'n1');
  await say(reports.port, 'next\n');
  const second = await site.store.nodes.assignment('n1');
  t.like(second, { state: 'osimage', osimage: 'd12', entry: 'install' });
  t.is(second?.destiny, undefined);
  t.deepEqual(second?.chain, [{ state: 'boot', osimage: null, entry: null }]);
  site.clock.now += 1000;
  await boot(site, 'n1');
  await say(reports.port, 'next\n');
  const third = await site.store.nodes.assignment('n1');
  t.like(third, { state: 'boot', osimage: 'd12' });
  t.is(third?.chain, undefined);
  t.deepEqual(await site.stages('n1'), ['script', 'finished', 'nodeset', 'script', 'installed']);
});

test('a chain whose next osimage was removed ends on the disk', async (t) => {
  const { site, reports } = await monitor(t);
  await site.assign('n1', { chain: [{ state: 'osimage', osimage: 'gone', entry: null }] });
  await boot(site, 'n1');
  await say(reports.port, 'next\n');
  t.like(await site.store.nodes.assignment('n1'), { state: 'boot' });
});

test('an address no node has, or that another machine answers for, is hung up on', async (t) => {
  const { site, reports } = await monitor(t, async (address) =>
    address === '127.0.0.3' ? '52:54:00:00:00:01' : undefined,
  );
  t.is(await say(reports.port, 'next\n', '127.0.0.9'), '');
  t.is(await say(reports.port, 'next\n', '127.0.0.3'), '');
  t.true(site.log.some((line) => line.includes('no node has that address')));
  t.true(site.log.some((line) => line.includes('which has no interface 52:54:00:00:00:01')));
});

test('a node that reports without end is not listened to for a while', async (t) => {
  const { site, reports } = await monitor(t);
  for (let n = 0; n < 20; n++) t.is(await say(reports.port, 'installstatus busy\n'), 'ready\ndone\n');
  t.is(await say(reports.port, 'installstatus busy\n'), '');
  t.is(await say(reports.port, 'installstatus busy\n', '127.0.0.3'), 'ready\ndone\n');
  site.clock.now += 5000;
  t.is(await say(reports.port, 'installstatus busy\n'), 'ready\ndone\n');
});

test('a thousand nodes report in one moment, and none is lost', async (t) => {
  const { site, reports } = await monitor(t);
  const nodes = Array.from({ length: 1000 }, (_, n) => ({
    name: `m${n}`,
    macs: [`0200000${(0x10000 + n).toString(16)}`],
    ip: `127.0.${1 + Math.floor(n / 250)}.${(n % 250) + 1}`,
  }));
  for (const node of nodes) await site.addNode(node);
  const heard = await Promise.all(nodes.map(({ ip }) => say(reports.port, 'installstatus booted\n', ip)));
  t.deepEqual([...new Set(heard)], ['ready\ndone\n']);
  t.deepEqual(await site.stages('m999'), ['booted']);
});

test('long lines, bytes that are no text and stages of ours change nothing', async (t) => {
  const { site, reports } = await monitor(t);
  await site.assign('n1', {});
  await boot(site, 'n1');
  t.is(await say(reports.port, Buffer.alloc(4096, 'x')), 'ready\n');
  t.is(await say(reports.port, Buffer.from([0xff, 0, 0xfe, 10])), 'ready\ndone\n');
  t.is(await say(reports.port, 'installstatus nodeset script\n'), 'ready\ndone\n');
  t.is(await say(reports.port, 'getpostscript\n'), 'ready\ndone\n');
  t.deepEqual(await site.stages('n1'), ['script', 'asks', 'asks']);
  t.like(await site.store.nodes.assignment('n1'), { state: 'osimage' });
});

test('a shell on a node reports as xCAT’s scripts do', async (t) => {
  const { site, reports } = await monitor(t);
  await site.addNode({ name: 'self', macs: ['525400000009'], ip: '127.0.0.1' });
  const { stdout } = await execa('bash', [
    '-c',
    `exec 3<>/dev/tcp/127.0.0.1/${reports.port}; read -r word <&3; [ "$word" = ready ] || exit 1; echo "installstatus booted" >&3; cat <&3`,
  ]);
  t.is(stdout, 'done');
  t.deepEqual(await site.stages('self'), ['booted']);
});

test('rackboot serve listens where rackboot.yaml says', async (t) => {
  const site = await runSite(t, { xcat: { reports: '127.0.0.1:0' } });
  await site.addNode({ name: 'n1', macs: ['525400000001'], ip: '127.0.0.2' });
  t.is(await say(site.servers.xcatPort ?? 0, 'installstatus booted\n'), 'ready\ndone\n');
  t.true(site.servers.announcement.some((line) => line.startsWith('reports of xCAT’s nodes on 127.0.0.1:')));
  const taken = startXcatReports(site.servers.service, '127.0.0.1', site.servers.xcatPort ?? 0);
  await t.throwsAsync(taken, { message: /the port is in use, by xcatd perhaps/ });
});
