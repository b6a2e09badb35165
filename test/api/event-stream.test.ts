import { request } from 'node:http';
import test from 'ava';
import { HTTP_LIMITS } from '../../src/site/limits-config.js';
import { ask, runSite, until, type RunningSite } from '../pxe/http/running-site.js';

interface Message {
  readonly type: string;
  readonly id: string;
  readonly data: Record<string, unknown>;
}

/** Listens to /api/v1/events until the test ends; `messages` grows. */
async function listen(
  t: Parameters<typeof runSite>[0],
  site: RunningSite,
  headers: Record<string, string> = {},
): Promise<Message[]> {
  const messages: Message[] = [];
  await new Promise<void>((resolve, reject) => {
    const req = request(
      { host: '127.0.0.1', port: site.port, path: '/api/v1/events', headers, agent: false },
      (res) => {
        t.is(res.statusCode, 200);
        t.is(res.headers['content-type'], 'text/event-stream');
        let text = '';
        res.on('error', () => undefined);
        res.on('data', (chunk: Buffer) => {
          text += chunk.toString('utf8');
          const blocks = text.split('\n\n');
          text = blocks.pop() ?? '';
          for (const block of blocks) {
            const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
            if (field('event') !== '')
              messages.push({
                type: field('event'),
                id: field('id'),
                data: JSON.parse(field('data')) as Record<string, unknown>,
              });
          }
          resolve();
        });
      },
    );
    req.on('error', reject);
    req.end();
    t.teardown(() => req.destroy());
  });
  return messages;
}

test('a page hears of what happens, and of what that makes of the node', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  await site.publish({ name: 'd12' });
  const messages = await listen(t, site);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await ask(site, '/nodes/n1/report?stage=installing&detail=x', { from: '127.0.0.11' });
  await until(() => messages.some(({ type }) => type === 'status'));
  const event = messages.find(({ type }) => type === 'event');
  t.like(event?.data, { node: 'n1', stage: 'installing', detail: 'x' });
  t.is(event?.id, String(event?.data['id']));
  t.like(messages.find(({ type }) => type === 'status')?.data, { node: 'n1', stage: 'installing' });
});

test('what another process writes is heard, too; and who comes back misses nothing', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'] });
  const write = (stage: string) =>
    site.store.events.append({
      at: site.clock.now,
      node: 'n1',
      stage,
      detail: '',
      bytes: null,
      ms: null,
      generation: null,
      client: null,
    });
  const first = await write('dhcp');
  await write('loader');
  const messages = await listen(t, site, { 'Last-Event-ID': String(first.id) });
  const heard = (): unknown[] =>
    messages.filter(({ type }) => type === 'event').map(({ data }) => data['stage']);
  await until(() => heard().length === 1);
  await new Promise((resolve) => setTimeout(resolve, 600));
  await write('script');
  await until(() => heard().length === 2);
  t.deepEqual(heard(), ['loader', 'script']);
});

test('a running transfer shows its progress', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  const linux = Buffer.alloc(30 * 1024 * 1024, 7);
  const id = await site.publish({ name: 'd12', files: { linux, 'initrd.gz': Buffer.from('x') } });
  const messages = await listen(t, site);
  let taken = 0;
  const req = request(
    {
      host: '127.0.0.1',
      port: site.port,
      path: `/images/d12@${id}/files/linux`,
      localAddress: '127.0.0.11',
      agent: false,
    },
    (res) => {
      res.on('data', (chunk: Buffer) => {
        taken += chunk.length;
        res.pause();
        setTimeout(() => res.resume(), 5);
        site.clock.now += 100; // the server's clock decides how often it tells
      });
    },
  );
  req.end();
  t.teardown(() => req.destroy());
  await until(() => messages.filter(({ type }) => type === 'progress').length >= 2);
  const [one, two] = messages.filter(({ type }) => type === 'progress').map(({ data }) => data);
  t.like(one, { node: 'n1', stage: 'kernel', path: 'linux', size: linux.length });
  t.true(Number(one?.['sent']) < Number(two?.['sent']));
  await until(() => taken === linux.length);
});

test('there is a limit to listeners, and who leaves makes room', async (t) => {
  const site = await runSite(t);
  const open = Array.from({ length: HTTP_LIMITS.eventStreams.usual }, () => {
    const req = request({ host: '127.0.0.1', port: site.port, path: '/api/v1/events', agent: false });
    req.on('error', () => undefined);
    req.end();
    return { req, answered: new Promise((resolve) => req.once('response', resolve)) };
  });
  await Promise.all(open.map(({ answered }) => answered));
  const one = await ask(site, '/api/v1/events');
  t.is(one.status, 429);
  t.is(one.headers['retry-after'], '5');
  for (const { req } of open) req.destroy();
  await until(async () => {
    const status = await new Promise<number>((resolve) => {
      const req = request(
        { host: '127.0.0.1', port: site.port, path: '/api/v1/events', agent: false },
        (res) => {
          resolve(res.statusCode ?? 0);
          req.destroy();
        },
      );
      req.on('error', () => undefined);
      req.end();
    });
    return status === 200;
  });
  t.pass();
});
