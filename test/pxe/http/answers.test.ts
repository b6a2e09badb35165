import { connect } from 'node:net';
import test from 'ava';
import { ask, installEntry, runSite, until, type RunningSite } from './running-site.js';

const own = { from: '127.0.0.11' };

async function installing(
  t: Parameters<typeof runSite>[0],
  answer: string | undefined = 'secret for {{ node.name }}: {{ report }}\n',
) {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  await site.addNode({ name: 'n2', macs: ['52:54:00:00:00:02'], ip: '127.0.0.12' });
  await site.publish({ name: 'd12', answer });
  await site.assign('n1', {});
  return site;
}

/** The answer file URL in the boot script that the node gets now. */
async function answerUrl(site: RunningSite, node = 'n1', from = '127.0.0.11'): Promise<string> {
  const { text } = await ask(site, `/nodes/${node}/boot.ipxe`, { from });
  return new URL(/url=(\S+)/.exec(text)?.[1] ?? '').toString().replace(site.url, '');
}

test('an answer file goes out once', async (t) => {
  const site = await installing(t);
  const url = await answerUrl(site);
  const answer = await ask(site, url, own);
  t.is(answer.status, 200);
  t.regex(answer.text, new RegExp(`^secret for n1: ${site.url}/nodes/n1/report\\?run=\\S+\n$`));
  t.is(answer.headers['cache-control'], 'no-store');
  t.is(answer.headers['content-type'], 'text/plain; charset=utf-8');
  const again = await ask(site, url, own);
  t.is(again.status, 403);
  t.regex(
    again.text,
    /^no answer file for n1: its token was used, has expired, or was given to another address; boot it again\n$/,
  );
  const [event] = await site.store.events.ofNode('n1', 1);
  t.like(event, { stage: 'answer', detail: 'configs/test/answerfile.liquid', bytes: answer.body.length });
});

test('no log line and no event holds a token or the answer', async (t) => {
  const site = await installing(t);
  const url = await answerUrl(site);
  await ask(site, url, own);
  await ask(site, url, own);
  const token = url.split('=')[1] ?? 'none';
  await until(() => site.log.filter((line) => line.includes('answerfile')).length >= 2);
  const written = site.log.join('') + JSON.stringify(await site.store.events.since(0, 100));
  t.false(written.includes(token.slice(0, 32)));
  t.false(written.includes(token.slice(33)));
  t.false(written.includes('secret for'));
});

test('a new script makes the token of the one before useless', async (t) => {
  const site = await installing(t);
  const first = await answerUrl(site);
  const second = await answerUrl(site);
  t.is((await ask(site, first, own)).status, 403);
  t.is((await ask(site, second, own)).status, 200);
});

test('nobody else can use a token, and trying does not use it up', async (t) => {
  const site = await installing(t);
  await site.assign('n2', {});
  const url = await answerUrl(site);
  const token = url.split('=')[1] ?? '';
  const elsewhere = { from: '127.0.0.66' };
  for (const [path, from] of [
    [url, elsewhere],
    [url, { from: '127.0.0.12' }],
    [`/nodes/n2/answerfile?token=${token}`, { from: '127.0.0.12' }],
    [`/nodes/n2/answerfile?token=${token}`, own],
    ['/nodes/n1/answerfile', own],
    ['/nodes/n1/answerfile?token=', own],
    [`/nodes/n1/answerfile?token=${token.slice(0, 32)}`, own],
    [`/nodes/n1/answerfile?token=${'A'.repeat(32)}${token.slice(32)}`, own],
    [`${url}x`, own],
    [`/nodes/n1/answerfile?token=${token.replace(/^(.{33})[^.]+/, '$1zzzz')}`, own],
  ] as const) {
    const answer = await ask(site, path, from);
    t.is(answer.status, 403, path);
    t.false(answer.text.includes('secret'));
  }
  t.is((await ask(site, '/nodes/n3/answerfile?token=x', own)).status, 404);
  t.is((await ask(site, url, { ...own, method: 'HEAD' })).status, 405);
  t.is((await ask(site, url, own)).status, 200);
});

test('only while the node is set to install, and only for the run of its script', async (t) => {
  for (const change of [{ state: 'boot' }, { state: 'offline' }, {}] as const) {
    const site = await installing(t);
    const url = await answerUrl(site);
    site.clock.now += 10;
    await site.assign('n1', change);
    const answer = await ask(site, url, own);
    t.is(answer.status, 403);
    t.regex(
      answer.text,
      'state' in change ? /it is not set to install/ : /it was set again since its boot script/,
    );
  }
});

test('a token expires', async (t) => {
  const site = await installing(t);
  const url = await answerUrl(site);
  site.clock.now += 3600_000 + 1;
  t.is((await ask(site, url, own)).status, 403);
});

test('an image swapped during an install leaves the node its own answer file', async (t) => {
  const site = await installing(t);
  const url = await answerUrl(site);
  await site.publish({ name: 'd12', answer: 'of the second generation' });
  t.regex((await ask(site, url, own)).text, /^secret for n1/);
});

test('a template that cannot be rendered does not use the token up', async (t) => {
  const site = await installing(t, '{{ node.attributes.disk }}');
  const url = await answerUrl(site);
  const answer = await ask(site, url, own);
  t.is(answer.status, 500);
  t.is(answer.text, 'internal error; the server log has the reason\n');
  const failed = (await site.store.events.ofNode('n1', 10)).find((event) => event.stage === 'failed');
  t.regex(failed?.detail ?? '', /^answer file: configs\/test\/answerfile\.liquid line 1: undefined variable/);
  t.true(
    site.log.some((line) =>
      /configs\/test\/answerfile\.liquid line 1: undefined variable: node\.attributes\.disk/.test(line),
    ),
  );
  await site.addNode({
    name: 'n1',
    macs: ['52:54:00:00:00:01'],
    ip: '127.0.0.11',
    attributes: { disk: '/dev/vda' },
  });
  t.is((await ask(site, url, own)).text, '/dev/vda');
});

test('a generation without an answer file has none, and its script no token', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  await site.publish({ name: 'd12', boot: [installEntry] });
  await site.assign('n1', {});
  t.is(await answerUrl(site), '/nodes/n1/answerfile');
});

test('a token works again when the answer did not arrive', async (t) => {
  // More than the kernel's buffers hold: a smaller answer has left us once they have it.
  const site = await installing(t, `{% for i in (1..8) %}${'x'.repeat(3 * 1024 * 1024)}{% endfor %}`);
  const url = await answerUrl(site);
  const socket = connect({ host: '127.0.0.1', port: site.port, localAddress: '127.0.0.11' });
  socket.on('error', () => undefined);
  socket.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await new Promise((resolve) => socket.once('data', resolve));
  socket.resetAndDestroy();
  await until(() => site.log.some((line) => line.includes('its token works again')));
  t.deepEqual(await site.stages('n1'), ['script']);
  const answer = await ask(site, url, own);
  t.is(answer.status, 200);
  t.is(answer.body.length, 24 * 1024 * 1024);
});

test('one token asked for ten times at once is answered once', async (t) => {
  const site = await installing(t);
  const url = await answerUrl(site);
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(site, url, own)));
  t.is(answers.filter(({ status }) => status === 200).length, 1);
});

test('guessing is slowed down', async (t) => {
  const site = await installing(t);
  const guesses = [];
  for (let n = 0; n < 30; n++)
    guesses.push((await ask(site, '/nodes/n1/answerfile?token=x', { from: '127.0.0.66' })).status);
  t.is(guesses.filter((status) => status === 403).length, 20);
  t.is(guesses.filter((status) => status === 429).length, 10);
  t.is((await ask(site, await answerUrl(site), own)).status, 200);
});
