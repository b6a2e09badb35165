import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { createApp } from '../../../src/api/app.js';
import { Metrics } from '../../../src/api/metrics.js';
import { createBootService } from '../../../src/pxe/boot/service.js';
import { listenHttp } from '../../../src/pxe/http/server.js';
import { nodeIsoRoutes } from '../../../src/pxe/http/node-iso-routes.js';
import { endInstall } from '../../../src/node/report.js';
import { ask, bootFiles, digestOf, runSite, type RunningSite } from './running-site.js';

const run = promisify(execFile);
const NODE = '127.0.0.11';
const BMC = '127.0.0.21';

async function installingSite(t: ExecutionContext): Promise<RunningSite> {
  const site = await runSite(t);
  await site.addNode({
    name: 'n1',
    macs: ['52:54:00:00:00:01'],
    ip: NODE,
    attributes: { bmc: `127.0.0.20, ${BMC}` },
  });
  await site.publish({ name: 'd12', answer: 'password={{ node.name }}' });
  await site.assign('n1', {});
  return site;
}

/** The path of the answer file that the ISO's menu names. */
async function answerPath(t: ExecutionContext, iso: Buffer): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-node-iso-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const file = join(dir, 'n1.iso');
  await writeFile(file, iso);
  const { stdout } = await run('isoinfo', ['-R', '-i', file, '-x', '/isolinux/isolinux.cfg']);
  return /\/nodes\/n1\/answerfile\?token=[\w.-]+/.exec(stdout)?.[0] ?? '';
}

test('a node’s ISO goes to the node and its BMC, whole and in ranges, and to nobody else', async (t) => {
  const site = await installingSite(t);
  const whole = await ask(site, '/nodes/n1/iso', { from: BMC });
  t.is(whole.status, 200);
  t.like(whole.headers, {
    'content-type': 'application/x-iso9660-image',
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
  });
  const head = await ask(site, '/nodes/n1/iso', { from: BMC, method: 'HEAD' });
  t.is(head.headers['content-length'], String(whole.body.length));
  t.is(head.headers.etag, whole.headers.etag);
  const named = await ask(site, '/nodes/n1.iso', { from: NODE });
  t.is(named.status, 200);
  t.is(digestOf(named.body), digestOf(whole.body));
  const part = await ask(site, '/nodes/n1/iso', { from: BMC, headers: { Range: 'bytes=32768-34815' } });
  t.is(part.status, 206);
  t.deepEqual(part.body, whole.body.subarray(32768, 34816));
  for (const path of ['/nodes/n1/iso', '/nodes/n1.iso']) {
    const refused = await ask(site, path, { from: '127.0.0.12' });
    t.is(refused.status, 403);
    t.regex(
      refused.text,
      /^no ISO of n1 from here: 127\.0\.0\.12 .* rackboot node set n1 --attr bmc=127\.0\.0\.12\n$/,
    );
  }
  t.is((await ask(site, '/nodes/n2/iso', { from: BMC })).status, 404);
});

test('its answer file works once for each time the medium is booted', async (t) => {
  const site = await installingSite(t);
  const { body } = await ask(site, '/nodes/n1/iso', { from: BMC });
  const path = await answerPath(t, body);
  const answer = (from: string) => ask(site, path, { from });
  t.is((await answer(BMC)).status, 403);
  t.is((await answer(NODE)).text, 'password=n1');
  t.is((await answer(NODE)).status, 403);
  await ask(site, '/nodes/n1/iso', { from: BMC, headers: { Range: 'bytes=100000-100511' } });
  t.is((await answer(NODE)).status, 403);
  await ask(site, '/nodes/n1/iso', { from: BMC, headers: { Range: 'bytes=34816-36863' } });
  t.is((await answer(NODE)).status, 200);
  await site.assign('n1', { state: 'boot' });
  t.is((await answer(NODE)).status, 403);
  const stages = await site.stages('n1');
  t.is(stages[0], 'script');
  t.is(stages.filter((stage) => stage === 'script').length, 1);
});

test('it stays the same through a new generation and a new server, until the node is set again', async (t) => {
  const site = await installingSite(t);
  const first = await ask(site, '/nodes/n1/iso', { from: BMC });
  await site.publish({
    name: 'd12',
    answer: 'x',
    files: { ...bootFiles, linux: randomBytes(400_000) },
  });
  const { service } = site.servers;
  const other = createBootService({ ...service, holder: 'other' });
  const server = await listenHttp(createApp(nodeIsoRoutes(other), other, new Metrics()), '127.0.0.1', 0);
  t.teardown(() => server.close());
  const elsewhere = await ask({ port: server.port }, '/nodes/n1/iso', { from: BMC });
  t.is(elsewhere.headers.etag, first.headers.etag);
  t.is(digestOf(elsewhere.body), digestOf(first.body));

  site.clock.now += 1000;
  await site.assign('n1', {});
  const next = await ask(site, '/nodes/n1/iso', { from: BMC });
  t.is(next.status, 200);
  t.not(next.headers.etag, first.headers.etag);
});

test('when the install has ended, nothing boots from it, but what still reads it can', async (t) => {
  const site = await installingSite(t);
  const whole = await ask(site, '/nodes/n1/iso', { from: BMC });
  const assignment = await site.store.nodes.assignment('n1');
  if (assignment === undefined) throw new Error('no assignment');
  t.is((await endInstall(site.store, assignment, assignment.since, site.clock.now))?.state, 'boot');
  for (const range of ['bytes=0-511', 'bytes=32768-', 'bytes=1-']) {
    const refused = await ask(site, '/nodes/n1/iso', { from: BMC, headers: { Range: range } });
    t.is(refused.status, 409, range);
    t.regex(refused.text, /^n1 is not set to install, .* rackboot nodeset n1 osimage=NAME\n$/);
  }
  const part = await ask(site, '/nodes/n1/iso', { from: BMC, headers: { Range: 'bytes=100000-' } });
  t.is(part.status, 206);
  t.is(digestOf(part.body), digestOf(whole.body.subarray(100_000)));

  await site.addNode({ name: 'n2', macs: ['52:54:00:00:00:02'], ip: '127.0.0.12' });
  t.is((await ask(site, '/nodes/n2/iso', { from: '127.0.0.12' })).status, 409);
});
