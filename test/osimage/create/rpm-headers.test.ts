import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { RepoError } from '../../../src/repo/errors.js';
import { datedHeaders, parseHeaders } from '../../../src/osimage/create/rpm-headers.js';
import { runProgram } from '../../product/commands.js';
import { BUILT, buildTreePackages } from './tree-packages.js';

const execute = promisify(execFile);

let dir: string;
let exported: Buffer;

test.before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rackboot-headers-'));
  await buildTreePackages(join(dir, 'packages'), [
    { name: 'one' },
    { name: 'two', version: '2.0+x' },
    { name: 'a' },
  ]);
  const files = ['two-2.0+x-1', 'one-1-1', 'a-1-1'].map((name) => join(dir, `packages/${name}.x86_64.rpm`));
  for (const file of files)
    await runProgram(
      ['rpm', '--force-debian', '--dbpath', join(dir, 'db'), '--justdb', '--nodeps', '-i', file],
      'rpm',
    );
  await execute('sh', [
    '-c',
    'rpmdb --dbpath "$1" --exportdb > "$2"',
    'sh',
    join(dir, 'db'),
    join(dir, 'exported'),
  ]);
  exported = await readFile(join(dir, 'exported'));
});

test.after.always(async () => {
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
});

test('what rpmdb exports is read: names, versions, build times', (t) => {
  const headers = parseHeaders(exported);
  t.deepEqual(headers.map(({ nevra }) => nevra).sort(), [
    'a-1-1.x86_64',
    'one-1-1.x86_64',
    'two-2.0+x-1.x86_64',
  ]);
  t.true(headers.every(({ buildTime }) => buildTime === BUILT));
});

test('rpm takes the dated headers, finds the packages in order, whole, and installed at that time', async (t) => {
  const dated = datedHeaders(parseHeaders(exported), 1_234_567_890);
  await writeFile(join(dir, 'dated'), dated);
  const db = join(dir, 'new');
  await mkdir(db);
  await execute('sh', ['-c', 'rpmdb --dbpath "$1" --importdb < "$2"', 'sh', db, join(dir, 'dated')]);
  const query = (at: string, format: string): Promise<string> =>
    runProgram(['rpm', '--dbpath', at, '-qa', '--qf', format], 'rpm');
  const installed = '%{NAME} %{INSTALLTIME} %{INSTALLTID}\n';
  t.is(
    await query(db, installed),
    ['a', 'one', 'two'].map((name) => `${name} 1234567890 1234567890\n`).join(''),
  );
  const whole = '%{NEVRA} %{SHA1HEADER} %{SHA256HEADER} %{SUMMARY} %{LICENSE}\n';
  const lines = async (at: string): Promise<string[]> => (await query(at, whole)).trim().split('\n').sort();
  t.deepEqual(await lines(db), await lines(join(dir, 'db')));
});

test('damaged exports are refused or read, and never anything else', (t) => {
  fc.assert(
    fc.property(fc.nat(exported.length - 1), fc.nat(255), fc.nat(exported.length), (at, byte, end) => {
      const damaged = Buffer.from(exported.subarray(0, end));
      if (at < damaged.length) damaged[at] = byte;
      try {
        datedHeaders(parseHeaders(damaged), 1);
        return true;
      } catch (error) {
        return error instanceof RepoError && error.code === 'BAD_METADATA';
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});
