import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { sha256 } from '../../src/store/digest.js';
import { openStore } from '../../src/store/store.js';
import { holds, noise, temporarySite } from './temporary-site.js';

function childScript(name: string): string {
  return fileURLToPath(new URL(`children/${name}.js`, import.meta.url));
}

/** Runs a child to its end; gives back its exit code and what it wrote to standard error. */
async function runChild(
  t: ExecutionContext,
  name: string,
  words: readonly string[],
): Promise<[number | null, string]> {
  const child = spawn(process.execPath, [childScript(name), ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return [code, errors];
}

test.serial('processes writing, reading and collecting at once lose nothing', async (t) => {
  t.timeout(240_000);
  const site = await temporarySite(t);
  const names = ['p1', 'p2', 'p3', 'p4', 'p5'];
  const ends = await Promise.all(
    names.map((name) => runChild(t, 'write-and-collect', [site.dir, name, '25'])),
  );
  for (const [code, errors] of ends) t.is(code, 0, errors);
  const store = await openStore(site);
  t.teardown(() => store.close());
  t.deepEqual((await store.verify()).problems, []);
  t.deepEqual(
    (await store.osimages.list()).map(({ name }) => name),
    names,
  );
  for (const name of names) await store.osimages.remove(name);
  await store.gc({ dryRun: false });
  t.deepEqual(await readdir(join(site.paths.store, 'packs')), [], 'and nothing is left over');
  t.deepEqual(await readdir(join(site.paths.store, 'tmp')), []);
});

test.serial('a writer killed at any moment leaves the state whole, and gc reclaims the rest', async (t) => {
  t.timeout(240_000);
  const site = await temporarySite(t);
  let published = -1;
  let interrupted = 0;
  for (let round = 0; round < 30; round++) {
    const child = spawn(process.execPath, [childScript('keep-writing'), site.dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    const gone = once(child, 'close');
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      if (line !== 'ready') published = Math.max(published, Number(line));
    });
    await once(lines, 'line');
    await sleep((round * 37) % 170); // anywhere within the first few generations
    child.kill('SIGKILL');
    await gone;

    const left = await readdir(join(site.paths.store, 'tmp'));
    if (left.length > 0) interrupted++;
    const store = await openStore(site);
    const history = await store.osimages.history('d12');
    t.true(history.length > published, `${published} was published, but there are ${history.length}`);
    t.is((await store.osimages.get('d12'))?.current, history[0]?.id);
    published = Math.max(published, history.length - 1);
    for (let number = 0; number < history.length; number++) {
      t.is(history[history.length - 1 - number]?.id, sha256(`generation ${number}`));
    }
    t.deepEqual((await store.verify()).problems, []);
    if (round % 3 === 2) {
      await store.gc({ dryRun: false });
      t.deepEqual(await readdir(join(site.paths.store, 'tmp')), []);
      for (const number of [0, published]) {
        if (number < 0 || number > published) continue; // a slow machine has published none yet
        for (const seed of [number, 1000 + number, 2000 + number]) {
          t.true(await holds(store, sha256(noise(seed, 150_000))));
        }
      }
      t.deepEqual(await store.gc({ dryRun: false }), {
        generations: 0,
        blobs: 0,
        files: 0,
        bytes: 0,
        held: [],
      });
    }
    await store.close();
  }
  t.true(interrupted > 3, `only ${interrupted} kills fell into the middle of a write`);
  t.true(published > 3, `only ${published + 1} generations were published`);
});
