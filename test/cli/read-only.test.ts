import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import test, { type ExecutionContext } from 'ava';
import { openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { newSite, type Outcome } from './in-process.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const exec = promisify(execFile);

/** Runs a command on the site at `dir` in a mount namespace of its own in which that directory is read-only. */
async function readOnly(dir: string, ...words: readonly string[]): Promise<Outcome> {
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
  const command = ['sh', '-c', script, dir, process.execPath, program, '--site', dir, ...words];
  return exec('unshare', ['--mount', ...rights, ...command]).then(
    ({ stdout, stderr }) => ({ status: 0, out: stdout, err: stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      status: error.code,
      out: error.stdout,
      err: error.stderr,
    }),
  );
}

async function siteWithNode(t: ExecutionContext): Promise<Awaited<ReturnType<typeof newSite>>> {
  const site = await newSite(t);
  await site.rackboot('node', 'add', 'n1', '--mac', '52:54:00:00:00:01');
  await site.rackboot('nodeset', 'n1', 'osimage=d12');
  return site;
}

const looks: readonly (readonly string[])[] = [
  ['image', 'ls'],
  ['image', 'show', 'd12'],
  ['image', 'history', 'd12'],
  ['image', 'diff', 'd12'],
  ['node', 'ls'],
  ['nodels', 'all'],
  ['--json', 'status', 'n1'],
];

test('what only looks says the same on a read-only site', async (t) => {
  const { dir, rackboot } = await siteWithNode(t);
  for (const words of looks) {
    const expected = await rackboot(...words);
    t.is(expected.status, 0, expected.err);
    t.deepEqual(await readOnly(dir, ...words), expected, words.join(' '));
  }
});

test('on a read-only site that a server writes, it sees what was written last', async (t) => {
  const { dir, rackboot } = await siteWithNode(t);
  const store = await openStore(await openSite(dir));
  t.teardown(() => store.close());
  await rackboot('nodeset', 'n1', 'offline');
  t.regex((await readOnly(dir, 'status', 'n1')).out, /^n1 +offline/m);
});

test('what would change a read-only site is refused in one line', async (t) => {
  const { dir } = await siteWithNode(t);
  for (const words of [['nodeset', 'n1', 'boot'], ['image', 'rm', 'd12@1'], ['status', '--watch'], ['gc']]) {
    const { status, err } = await readOnly(dir, ...words);
    t.is(status, 1);
    t.regex(err, /^rackboot: [^\n]* is read-only: make it writable for this user[^\n]*\n$/, words.join(' '));
  }
});

test('a read-only database of an older rackboot, or none, is told from a good one', async (t) => {
  const { dir } = await siteWithNode(t);
  const file = `${dir}/state.db`;
  const database = new Database(file);
  database.exec('delete from kysely_migration where name = (select max(name) from kysely_migration)');
  database.close();
  t.regex(
    (await readOnly(dir, 'image', 'ls')).err,
    /state\.db is of an older rackboot and read-only: [^\n]*\n$/,
  );
  await writeFile(file, 'no database '.repeat(1000));
  t.regex((await readOnly(dir, 'image', 'ls')).err, /state\.db is not a database[^\n]*\n$/);
});
