import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import test from 'ava';
import { createApp } from '../../../src/api/app.js';
import { Metrics } from '../../../src/api/metrics.js';
import { reportRoutes } from '../../../src/pxe/http/report-routes.js';
import { listenHttp } from '../../../src/pxe/http/server.js';
import { ask, runSite, type RunningSite } from './running-site.js';

const exec = promisify(execFile);
const own = { from: '127.0.0.11' };

async function installing(
  t: Parameters<typeof runSite>[0],
  change: Parameters<typeof runSite>[1] = {},
): Promise<RunningSite & { id: string }> {
  const site = await runSite(t, change);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  await site.addNode({ name: 'n2', macs: ['52:54:00:00:00:02'], ip: '127.0.0.12' });
  await site.addNode({ name: 'n3', macs: ['52:54:00:00:00:03'] });
  const id = await site.publish({
    name: 'd12',
    answer: 'x',
    tree: { 'pool/last_1.udeb': Buffer.from('l'), 'pool/other': Buffer.from('o') },
  });
  await site.assign('n1', {});
  return { ...site, id };
}

async function reportUrl(site: RunningSite): Promise<string> {
  const { text } = await ask(site, '/nodes/n1/boot.ipxe', own);
  return (/report=(\S+)/.exec(text)?.[1] ?? '').replace(site.url, '');
}

test('curl and busybox wget report', async (t) => {
  const site = await installing(t);
  const report = `${site.url}/nodes/n1/report`;
  await exec('curl', [
    '-sf',
    '--interface',
    '127.0.0.11',
    `${report}?stage=installing&detail=early%20command`,
  ]);
  await exec('curl', ['-sf', '--interface', '127.0.0.11', '-d', 'stage=packages&detail=12 of 80', report]);
  const signed = site.url + (await reportUrl(site));
  await exec('busybox', ['wget', '-q', '-O', '/dev/null', `${signed}&stage=late`]);
  const events = (await site.store.events.ofNode('n1', 10)).reverse();
  t.deepEqual(
    events.map(({ stage, detail, client }) => [stage, detail, client]),
    [
      ['installing', 'early command', '127.0.0.11'],
      ['packages', '12 of 80', '127.0.0.11'],
      ['script', events[2]?.detail, '127.0.0.11'],
      ['late', '', '127.0.0.1'],
    ],
  );
});

test('installed sets the node to boot, once, and nothing a node says sets it to install', async (t) => {
  const site = await installing(t);
  t.is((await ask(site, `${await reportUrl(site)}&stage=installed`, own)).status, 200);
  t.like(await site.store.nodes.assignment('n1'), { state: 'boot', osimage: 'd12' });
  t.regex((await ask(site, '/nodes/n1/boot.ipxe', own)).text, /boots from local disk/);
  for (const stage of ['installing', 'failed', 'installed', 'osimage', 'reinstall']) {
    await ask(site, `/nodes/n1/report?stage=${stage}`, own);
    t.is((await site.store.nodes.assignment('n1'))?.state, 'boot');
  }
  for (const stage of ['nodeset', 'script', 'kernel', '', 'A', 'x%0ay']) {
    t.is((await ask(site, `/nodes/n1/report?stage=${stage}`, own)).status, 400, stage);
  }
});

test('a report of an old run does not end a newer assignment', async (t) => {
  const site = await installing(t);
  const old = await reportUrl(site);
  site.clock.now += 1000;
  const newer = await site.assign('n1', {});
  t.is((await ask(site, `${old}&stage=installed`, own)).status, 200);
  t.deepEqual(await site.store.nodes.assignment('n1'), newer);
});

test('an offline node stays offline whatever it reports', async (t) => {
  const site = await installing(t);
  const url = await reportUrl(site);
  await site.assign('n1', { state: 'offline' });
  await ask(site, `${url}&stage=installed`, own);
  t.is((await site.store.nodes.assignment('n1'))?.state, 'offline');
});

test('one node cannot speak for another', async (t) => {
  const site = await installing(t);
  await site.assign('n2', {});
  const signed = await reportUrl(site);
  for (const [path, from] of [
    ['/nodes/n2/report?stage=installed', '127.0.0.11'],
    ['/nodes/n1/report?stage=installed', '127.0.0.12'],
    ['/nodes/n3/report?stage=installed', '127.0.0.13'],
    [`${signed.replace('n1', 'n2')}&stage=installed`, '127.0.0.11'],
    [`${signed.replace('n1', 'n2')}&stage=installed`, '127.0.0.12'],
    [`${signed}x&stage=installed`, '127.0.0.11'],
  ] as const) {
    const answer = await ask(site, path, { from });
    t.is(answer.status, 403, path);
    t.regex(answer.text, /^[^\n]+\n$/);
  }
  t.is((await site.store.nodes.assignment('n1'))?.state, 'osimage');
  t.is((await site.store.nodes.assignment('n2'))?.state, 'osimage');
  t.is((await ask(site, '/nodes/nope/report?stage=installed')).status, 404);
});

test('a machine that took a node’s address does not speak for it; a signed URL does', async (t) => {
  const site = await installing(t);
  const { service } = site.servers;
  const macs: Record<string, string> = {
    '127.0.0.11': '52:54:00:00:00:99',
    '127.0.0.12': '52:54:00:00:00:02',
  };
  const routes = reportRoutes(service, async (address) => macs[address]);
  const http = await listenHttp(createApp(routes, service, new Metrics()), '127.0.0.1', 0);
  t.teardown(() => http.close());
  const refused = await ask(http, '/nodes/n1/report?stage=installed', own);
  t.is(refused.status, 403);
  t.regex(refused.text, /it is the address of n1, which has no interface 52:54:00:00:00:99; add it with/);
  t.is((await site.store.nodes.assignment('n1'))?.state, 'osimage');
  t.is((await ask(http, '/nodes/n2/report?stage=busy', { from: '127.0.0.12' })).status, 200);
  t.is((await ask(http, `${await reportUrl(site)}&stage=installed`, own)).status, 200);
  t.is((await site.store.nodes.assignment('n1'))?.state, 'boot');
});

test('what is reported is kept short and on one line', async (t) => {
  const site = await installing(t);
  await ask(site, `/nodes/n1/report?stage=late&detail=${'y'.repeat(3000)}`, own);
  await ask(site, '/nodes/n1/report?stage=late&detail=a%0d%0ab%00c%1b[31m', own);
  const details = (await site.store.events.ofNode('n1', 2)).map((event) => event.detail);
  t.deepEqual(details, ['a b c [31m', `${'y'.repeat(199)}…`]);
});

test('bodies are limited, and so is the pace', async (t) => {
  const site = await installing(t);
  const large = { ...own, method: 'POST', body: `stage=late&detail=${'z'.repeat(5000)}` };
  t.is((await ask(site, '/nodes/n1/report', large)).status, 413);
  const statuses = [];
  for (let n = 0; n < 40; n++) statuses.push((await ask(site, '/nodes/n1/report?stage=late', own)).status);
  t.is(statuses.filter((status) => status === 200).length, 19);
  t.true(statuses.slice(19).every((status) => status === 429));
  t.is((await ask(site, '/nodes/n2/report?stage=late', { from: '127.0.0.12' })).status, 200);
});

test('with install.done: fetched, the last file ends the install', async (t) => {
  const site = await installing(t, { install: { done: 'fetched', lastFile: '**/last_*.udeb' } });
  const tree = `/images/d12@${site.id}/tree/pool`;
  const state = async (): Promise<string | undefined> => (await site.store.nodes.assignment('n1'))?.state;
  await ask(site, `${tree}/last_1.udeb`, own);
  t.is(await state(), 'osimage', 'a node that was handed no script since installs nothing');
  await reportUrl(site);
  await ask(site, `${tree}/other`, own);
  await ask(site, `${tree}/last_1.udeb`, { from: '127.0.0.12' });
  await ask(site, `${tree}/last_1.udeb`, { ...own, method: 'HEAD' });
  t.is(await state(), 'osimage');
  await ask(site, `${tree}/last_1.udeb`, own);
  t.is(await state(), 'boot');
  const [event] = await site.store.events.ofNode('n1', 1);
  t.like(event, { stage: 'installed', detail: 'fetched pool/last_1.udeb' });
});

test('a boot file never is the last file, whatever the pattern', async (t) => {
  const site = await installing(t, { install: { done: 'fetched', lastFile: '**/*.gz' } });
  await reportUrl(site);
  await ask(site, `/images/d12@${site.id}/files/initrd.gz`, own);
  t.is((await site.store.nodes.assignment('n1'))?.state, 'osimage');
});

test('a file of an older generation does not end the install of a newer one', async (t) => {
  const site = await installing(t, { install: { done: 'fetched', lastFile: '**/last_*.udeb' } });
  await reportUrl(site);
  await site.publish({ name: 'd12', tree: { 'pool/last_1.udeb': Buffer.from('newer') } });
  site.clock.now += 1000;
  await site.assign('n1', {});
  const old = `/images/d12@${site.id}/tree/pool/last_1.udeb`;
  await ask(site, old, own);
  t.is((await site.store.nodes.assignment('n1'))?.state, 'osimage', 'before its new script');
  await reportUrl(site);
  await ask(site, old, own);
  t.is((await site.store.nodes.assignment('n1'))?.state, 'osimage', 'after it');
});

test('a transfer that outlasts its assignment does not end the next one', async (t) => {
  const site = await installing(t, { install: { done: 'fetched', lastFile: 'last' } });
  const id = await site.publish({ name: 'd12', tree: { last: randomBytes(40_000_000) } });
  await reportUrl(site);
  const slow = connect({ host: '127.0.0.1', port: site.port, localAddress: '127.0.0.11' });
  t.teardown(() => slow.destroy());
  slow.write(`GET /images/d12@${id}/tree/last HTTP/1.0\r\nHost: x\r\n\r\n`);
  await once(slow, 'readable');
  site.clock.now += 1000;
  const newer = await site.assign('n1', {});
  await reportUrl(site);
  slow.resume();
  await once(slow, 'close');
  await site.servers.service.transfers.flush();
  t.true((await site.stages('n1')).includes('tree'), 'the file arrived');
  t.deepEqual(await site.store.nodes.assignment('n1'), newer);
});

test('with install.done: report, fetching ends nothing', async (t) => {
  const site = await installing(t, { install: { lastFile: '**' } });
  await ask(site, `/images/d12@${site.id}/tree/pool/last_1.udeb`, own);
  t.is((await site.store.nodes.assignment('n1'))?.state, 'osimage');
});

test('next by HTTP goes on with a chain, and with an earlier boot’s URL it does not', async (t) => {
  const site = await installing(t);
  const old = await reportUrl(site);
  site.clock.now += 1000;
  await site.assign('n1', { chain: [{ state: 'osimage', osimage: 'd12', entry: 'install' }] });
  const signed = await reportUrl(site);
  t.is((await ask(site, `${old}&stage=next`, own)).status, 200);
  t.is((await site.store.nodes.assignment('n1'))?.chain?.length, 1);
  t.is((await ask(site, `${signed}&stage=next`, own)).status, 200);
  const assignment = await site.store.nodes.assignment('n1');
  t.like(assignment, { state: 'osimage', entry: 'install' });
  t.is(assignment?.chain, undefined);
});
