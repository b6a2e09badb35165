import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat, watch } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { GenerationManifest } from '../../src/osimage/types.js';
import { openSite } from '../../src/site/site.js';
import { sha256 } from '../../src/store/digest.js';
import { encodeMap } from '../../src/store/extents.js';
import { openStore } from '../../src/store/store.js';
import { noise } from '../store/temporary-site.js';
import { newSite } from './in-process.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const FILES = 48;
const BYTES = 1_000_000;

/** A site with osimage `big`, whose only generation has an install tree of many packs. */
async function siteWithTree(t: ExecutionContext): Promise<Awaited<ReturnType<typeof newSite>>> {
  const site = await newSite(t);
  const limits = { packBytes: 2 * BYTES, packBlobs: 100, streamBytes: BYTES };
  const store = await openStore(await openSite(site.dir), { limits });
  await store.write('test', async (writer) => {
    const blobs: string[] = [];
    const artifact = async (path: string, bytes: Buffer) => {
      const blob = await writer.put(bytes);
      const part = { kind: 'blob', blob, offset: 0, length: bytes.length } as const;
      const map = await writer.put(encodeMap({ size: bytes.length, parts: [part] }));
      blobs.push(blob, map);
      return { path, size: bytes.length, sha256: sha256(bytes), map };
    };
    const tree: Awaited<ReturnType<typeof artifact>>[] = [];
    for (let n = 0; n < FILES; n++) tree.push(await artifact(`file${n}`, noise(n, BYTES)));
    const entry = { kind: 'linux', label: 'x', title: 'x', kernel: 'linux', initrds: [], args: '' } as const;
    const manifest: GenerationManifest = {
      version: 1,
      family: 'generic',
      files: [await artifact('linux', noise(99, 1000))],
      tree,
      boot: [entry],
      bootBase: [entry],
      archives: {},
      bases: {},
      inputs: {
        engine: 'e',
        imported: 'e',
        media: sha256('big'),
        layers: [],
        layerSpec: '',
        edits: [],
        settings: {},
      },
    };
    await writer.seal();
    const text = JSON.stringify(manifest);
    const common = { osimage: 'big', family: 'generic', id: sha256(text), parent: null, note: 'x' };
    await store.osimages.publish({ ...common, manifest: text, blobs: blobs as never }, { create: true });
  });
  await store.close();
  return site;
}

/** Starts `image iso` and stops it as soon as its file appears. */
async function stopInTheMiddle(t: ExecutionContext, dir: string, out: string) {
  const watching = new AbortController();
  const appeared = (async () => {
    for await (const _ of watch(out, { signal: watching.signal })) return;
  })();
  const child = spawn(
    process.execPath,
    [program, '--site', dir, 'image', 'iso', 'big', '-o', join(out, 'x')],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  t.teardown(() => child.kill('SIGKILL'));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const closed = once(child, 'close') as Promise<[number | null]>;
  await Promise.race([appeared, closed]);
  child.kill('SIGSTOP');
  watching.abort();
  t.false((await readdir(out)).includes('x'), 'it was stopped before its end');
  return { child, closed, errors: () => errors };
}

test.serial('an ISO that is being written outlives the removal of its osimage and a gc', async (t) => {
  const { dir, rackboot } = await siteWithTree(t);
  const out = join(dir, '..', 'out');
  await mkdir(out);
  const { child, closed, errors } = await stopInTheMiddle(t, dir, out);
  t.is((await rackboot('image', 'rm', 'big')).status, 0);
  const collected = await rackboot('gc');
  const who = `image iso \\(process ${child.pid ?? 0}\\)`;
  t.regex(
    collected.out,
    new RegExp(`^kept 4\\d\\.\\d MiB of big@[0-9a-f]{12} that ${who} still reads; it is free once`, 'm'),
  );
  child.kill('SIGCONT');
  const [code] = await closed;
  t.is(code, 0, errors());
  t.true((await stat(join(out, 'x'))).size > FILES * BYTES);
  t.regex((await rackboot('gc')).out, /^removed 0 generations, 9\d blobs .*\n$/);
});

test.serial('a killed command holds nothing', async (t) => {
  const { dir, rackboot } = await siteWithTree(t);
  const out = join(dir, '..', 'out');
  await mkdir(out);
  const { child, closed } = await stopInTheMiddle(t, dir, out);
  child.kill('SIGKILL');
  await closed;
  t.is((await rackboot('image', 'rm', 'big')).status, 0);
  t.regex((await rackboot('gc')).out, /^removed 0 generations, 9\d blobs .*\n$/);
});
