import { spawn } from 'node:child_process';
import { watch, type FSWatcher } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { runSucceeding } from './in-process.js';
import { makeMedia, program } from './media.js';

/** What a site says of itself, without times. */
interface State {
  readonly osimages: unknown;
  readonly history: unknown;
  readonly nodes: unknown;
}

/** A command to kill, on a copy of a site where `before` has run. */
interface Victim {
  readonly name: string;
  readonly before: readonly (readonly string[])[];
  readonly words: readonly string[];
  readonly kills: number;
}

const debian = '/usr/lib/debian-installer/images/12/amd64/text';
let work = '';

test.before(async () => {
  work = await mkdtemp(join(tmpdir(), 'rackboot-crash-'));
  await makeMedia(join(work, 'media'), 12_000_000);
  await mkdir(join(work, 'layer', 'overlay', 'lib'), { recursive: true });
  await writeFile(join(work, 'layer', 'overlay', 'lib', 'added'), Buffer.alloc(3_000_000, 'added '));
  await writeFile(join(work, 'layer', 'bootargs'), 'quiet\n');
  await writeFile(join(work, 'file'), Buffer.alloc(6_000_000, 'put '));
  await succeed(join(work, 'exporting'), ['init']);
  for (const words of [importMedia, exportBundle]) {
    await succeed(
      join(work, 'exporting'),
      words.map((word) => word.replace('WORK', work)),
    );
  }
});
test.after.always(() => rm(work, { recursive: true, force: true }));

const succeed = (site: string, words: readonly string[]): Promise<string> =>
  runSucceeding(['--site', site, '--json', ...words]);

async function stateOf(site: string): Promise<State> {
  const ask = async (...words: string[]): Promise<Record<string, unknown>[]> =>
    (JSON.parse(await succeed(site, words)) as Record<string, unknown>[]).map(
      ({ createdAt: _made, since: _since, ...rest }) => rest,
    );
  const osimages = await ask('image', 'ls');
  const history = osimages.length === 0 ? [] : await ask('image', 'history', 'd12');
  const nodes = (await ask('node', 'ls')).length === 0 ? [] : await ask('nodeset', 'all', 'stat');
  return { osimages, history, nodes };
}

/** Bytes and number of the files in the store. */
async function storeSize(site: string): Promise<{ files: number; bytes: number; temporary: string[] }> {
  const packs = join(site, 'store', 'packs');
  const names = await readdir(packs);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(packs, name))).size));
  return {
    files: names.length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    temporary: [
      ...(await readdir(join(site, 'store', 'tmp'))),
      ...(await readdir(join(site, 'store', 'scratch')).catch(() => [])),
    ],
  };
}

/** When to kill: at the n-th sign of life in the site's files, or a time after the first one. */
type Moment = { readonly sign: number } | { readonly afterMs: number };

/** Runs the real program on `site` until `moment` or its end; gives back how many signs of life there were. */
async function runAndKill(
  site: string,
  words: readonly string[],
  moment?: Moment,
): Promise<{ signs: number; ms: number; killed: boolean }> {
  const child = spawn(process.execPath, [program, '--site', site, ...words], { stdio: 'ignore' });
  const limit = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_status, signal) => resolve(signal));
  });
  let signs = 0;
  let first = 0;
  const onSign = (): void => {
    signs++;
    if (signs === 1) {
      first = performance.now();
      if (moment !== undefined && 'afterMs' in moment)
        void sleep(moment.afterMs).then(() => child.kill('SIGKILL'));
    }
    if (moment !== undefined && 'sign' in moment && signs === moment.sign) child.kill('SIGKILL');
  };
  const watchers: FSWatcher[] = [site, join(site, 'store', 'tmp'), join(site, 'store', 'packs')].map((dir) =>
    watch(dir, onSign),
  );
  const signal = await ended;
  clearTimeout(limit);
  for (const watcher of watchers) watcher.close();
  return { signs, ms: performance.now() - first, killed: signal === 'SIGKILL' };
}

/** `kills` moments spread over a run of `signs` signs and `ms` milliseconds: by turns by sign and by time. */
function momentsOf(kills: number, { signs, ms }: { signs: number; ms: number }): Moment[] {
  return Array.from({ length: kills }, (_, number) => {
    const share = (number + 0.5) / kills;
    return number % 3 === 2 ? { afterMs: share * ms } : { sign: Math.max(1, Math.round(share * signs)) };
  });
}

/** A killed site is one of the two states whole; gc brings it to that state's size; the command works then. */
async function checkKilled(
  t: ExecutionContext,
  site: string,
  words: readonly string[],
  [before, after]: readonly [Reference, Reference],
  what: string,
): Promise<{ readonly done: boolean; readonly garbage: boolean }> {
  const state = await stateOf(site);
  const isAfter = JSON.stringify(state) === JSON.stringify(after.state);
  const expected = isAfter ? after : before;
  t.deepEqual(state, expected.state, what);
  t.deepEqual((JSON.parse(await succeed(site, ['store', 'verify'])) as { problems: [] }).problems, [], what);
  if (state.history instanceof Array && state.history.length > 0)
    await succeed(site, ['image', 'verify', 'd12']);
  const left = await storeSize(site);
  await succeed(site, ['gc']);
  t.deepEqual(await storeSize(site), expected.size, `${what}: gc reclaims the rest`);
  if (!isAfter) await succeed(site, words);
  t.deepEqual(await stateOf(site), after.state, `${what}: the next one works`);
  t.deepEqual((JSON.parse(await succeed(site, ['store', 'verify'])) as { problems: [] }).problems, [], what);
  t.deepEqual(await storeSize(site), after.size, what);
  return { done: isAfter, garbage: left.bytes > expected.size.bytes || left.temporary.length > 0 };
}

/** A site nothing ever happened to. */
interface Reference {
  readonly state: State;
  readonly size: Awaited<ReturnType<typeof storeSize>>;
}

async function referenceOf(site: string): Promise<Reference> {
  await succeed(site, ['gc']);
  return { state: await stateOf(site), size: await storeSize(site) };
}

const init = ['init'];
const place = (name: string): string => `WORK/${name}`;
const importMedia = ['image', 'import', place('media'), '--name', 'd12'];
const exportBundle = ['image', 'export', 'd12', '-o', place('d12.tgz')];
const build = ['image', 'build', 'd12', '--layers', place('layer')];
const put = ['image', 'put', 'd12', `${place('file')}:/lib/put`];
const nodes = ['1', '2', '3'].map((n) => ['node', 'add', `n${n}`, '--mac', `52:54:00:00:00:0${n}`]);

const victims: readonly Victim[] = [
  { name: 'import', before: [init], words: importMedia, kills: 8 },
  {
    name: 'import of a bundle',
    before: [init],
    words: ['image', 'import', place('d12.tgz'), '--name', 'd12'],
    kills: 4,
  },
  { name: 'build', before: [init, importMedia], words: build, kills: 7 },
  { name: 'put', before: [init, importMedia, build], words: put, kills: 6 },
  {
    name: 'nodeset',
    before: [init, importMedia, ...nodes],
    words: ['nodeset', 'all', 'osimage=d12'],
    kills: 4,
  },
  {
    name: 'import of Debian’s installer',
    before: [init],
    words: ['image', 'import', debian, '--name', 'd12'],
    kills: 1,
  },
];

for (const { name, before, words, kills } of victims) {
  test.serial(
    `${name}: killed at ${kills} moments, it is done or not, and gc reclaims the rest`,
    async (t) => {
      t.timeout(240_000);
      const filled = (command: readonly string[]): string[] =>
        command.map((word) => word.replace('WORK', work));
      const dir = await mkdtemp(join(work, 'sites-'));
      const [start, twin] = [join(dir, 'start'), join(dir, 'twin')];
      for (const command of before) await succeed(start, filled(command));
      const first = await referenceOf(start);
      await cp(start, twin, { recursive: true });
      const whole = await runAndKill(twin, filled(words));
      t.false(whole.killed);
      const references = [first, await referenceOf(twin)] as const;
      t.notDeepEqual(references[0].state, references[1].state);

      const seen = { before: 0, after: 0, garbage: 0 };
      for (const moment of momentsOf(kills, whole)) {
        const site = join(dir, 'killed');
        await cp(start, site, { recursive: true });
        const { killed } = await runAndKill(site, filled(words), moment);
        const what = `${JSON.stringify(moment)} of ${JSON.stringify(whole)}${killed ? '' : ', too late'}`;
        const { done, garbage } = await checkKilled(t, site, filled(words), references, what);
        seen[done ? 'after' : 'before']++;
        if (garbage) seen.garbage++;
        await rm(site, { recursive: true });
      }
      t.log(
        `${name}: ${seen.before} kills before it was done, ${seen.after} after, ${seen.garbage} left garbage, of ${whole.signs} signs`,
      );
      t.true(seen.before > 0, 'no kill came in time');
      if (name !== 'nodeset') t.true(seen.garbage > 0, 'no kill left anything to reclaim');
    },
  );
}

/** A new site with the osimage d12. */
async function siteWithImage(): Promise<string> {
  const site = join(await mkdtemp(join(work, 'sites-')), 'site');
  for (const command of [init, importMedia]) {
    await succeed(
      site,
      command.map((word) => word.replace('WORK', work)),
    );
  }
  return site;
}

test.serial(
  'export: killed at 4 moments, the bundle that was there stays whole until the new one is',
  async (t) => {
    t.timeout(120_000);
    const site = await siteWithImage();
    const file = join(site, 'd12.tgz');
    const words = ['image', 'export', 'd12', '-o', file, '--force'];
    const whole = await runAndKill(site, words);
    const bundle = await readFile(file);
    let early = 0;
    for (const moment of momentsOf(4, whole)) {
      await writeFile(file, 'previous');
      await runAndKill(site, words, moment);
      const left = await readFile(file);
      if (left.equals(Buffer.from('previous'))) early++;
      else t.true(left.equals(bundle));
    }
    t.true(early > 0, 'no kill came in time');
    await succeed(site, words);
    t.true((await readFile(file)).equals(bundle));
    t.deepEqual(
      (await readdir(site)).filter((name) => name.startsWith('.d12.tgz')),
      [],
      'what the killed ones left is removed',
    );
  },
);

test.serial(
  'iso: killed at 4 moments, the file that was there stays whole until the new one is',
  async (t) => {
    t.timeout(120_000);
    const site = await siteWithImage();
    const file = join(site, 'd12.iso');
    const words = ['image', 'iso', 'd12', '-o', file];
    const whole = await runAndKill(site, words);
    await succeed(site, ['gc']);
    const size = await storeSize(site);
    let early = 0;
    for (const moment of momentsOf(4, whole)) {
      await writeFile(file, 'previous');
      await runAndKill(site, words, moment);
      if ((await readFile(file)).equals(Buffer.from('previous'))) early++;
      else await succeed(site, ['image', 'verify', 'd12', '--iso', file]);
      await succeed(site, ['gc']);
      t.deepEqual(await storeSize(site), size);
    }
    t.true(early > 0, 'no kill came in time');
    await succeed(site, words);
    await succeed(site, ['image', 'verify', 'd12', '--iso', file]);
  },
);
