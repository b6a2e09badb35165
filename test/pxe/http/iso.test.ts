import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { ask, bootFiles, digestOf, runSite } from './running-site.js';

const run = promisify(execFile);

test('the ISO of the current generation, whole and in ranges, as other programs read it', async (t) => {
  const site = await runSite(t);
  // Asked for by anybody: boot entries that need a node have none here.
  const entry = {
    kind: 'linux',
    label: 'install',
    title: 'Install',
    kernel: 'linux',
    initrds: ['initrd.gz'],
    args: 'quiet',
  } as const;
  const id = await site.publish({
    name: 'd12',
    boot: [entry],
    tree: { '.treeinfo': Buffer.from('[general]\n') },
  });
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-http-iso-'));
  t.teardown(() => rm(dir, { recursive: true }));

  const moved = await ask(site, '/images/d12/iso');
  t.is(moved.status, 302);
  t.is(moved.headers.location, `/images/d12@${id}/iso`);
  const url = moved.headers.location ?? '';
  const [whole, again] = await Promise.all([ask(site, url), ask(site, url)]);
  t.is(whole.status, 200);
  t.is(whole.headers['content-type'], 'application/x-iso9660-image');
  t.is(digestOf(whole.body), digestOf(again.body));
  t.is(whole.headers.etag, again.headers.etag);
  for (const [first, last] of [
    [32768, 34815],
    [0, 511],
    [whole.body.length - 5000, whole.body.length - 1],
  ] as const) {
    const part = await ask(site, url, { headers: { Range: `bytes=${first}-${last}` } });
    t.is(part.status, 206);
    t.is(digestOf(part.body), digestOf(whole.body.subarray(first, last + 1)));
  }
  const file = join(dir, 'd12.iso');
  await writeFile(file, whole.body);
  const extract = async (path: string): Promise<Buffer> =>
    (await run('isoinfo', ['-R', '-i', file, '-x', path], { encoding: 'buffer', maxBuffer: 1 << 26 })).stdout;
  t.is(digestOf(await extract('/boot/linux')), digestOf(bootFiles.linux));
  t.is(digestOf(await extract('/boot/initrd.gz')), digestOf(bootFiles['initrd.gz']));
  t.is((await extract('/.treeinfo')).toString(), '[general]\n');
  t.is((await ask(site, '/images/nope/iso')).status, 404);
  t.is((await ask(site, `/images/d12@${'0'.repeat(64)}/iso`)).status, 404);
});

test('an osimage that boots only as some node has no ISO for everybody', async (t) => {
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12', answer: 'x' });
  const answer = await ask(site, `/images/d12@${id}/iso`);
  t.is(answer.status, 409);
  t.regex(answer.text, /^d12 boots only as some node, .* rackboot image iso d12 --node NODE\n$/);
});
