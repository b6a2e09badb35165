import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { makePackages, workDirectory } from '../repo/rpm-packages.js';
import { keyring } from '../repo/signing-keys.js';
import { runCommand, type Outcome } from './in-process.js';

test('repo build --sign publishes a signed repository; without anybody to sign it publishes nothing', async (t) => {
  const work = await workDirectory(t);
  const keys = await keyring(t);
  const key = await keys.make('Site');
  const [site, dir] = [path.join(work, 'site'), path.join(work, 'repository')];
  const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', site, ...words]);
  t.is((await rackboot('init')).status, 0);
  await makePackages(dir, [{ name: 'xcp-ng-deps' }]);

  const refused = await rackboot('repo', 'build', dir, '--sign');
  t.is(refused.status, 1);
  t.regex(refused.err, /^rackboot: nobody to sign: /);
  t.false(existsSync(path.join(dir, 'repodata')));

  await writeFile(
    path.join(site, 'rackboot.yaml'),
    `name: rack7\nsigning: { by: gnupg, gnupg: { home: ${keys.home}, key: ${key} } }\n`,
  );
  for (const round of ['first', 'second']) {
    const built = await rackboot('--json', 'repo', 'build', dir, '--sign');
    t.is(built.status, 0, built.err);
    t.like(JSON.parse(built.out), { packages: 1, signed: key }, round);
    t.notRegex(built.err, /sign again/);
  }
  t.regex(await readFile(path.join(dir, 'RPM-GPG-KEY-rack7'), 'utf8'), /BEGIN PGP PUBLIC KEY BLOCK/);
  const verified = await rackboot(
    '--json',
    'repo',
    'verify',
    dir,
    '--key',
    path.join(dir, 'RPM-GPG-KEY-rack7'),
  );
  t.like(JSON.parse(verified.out), { packages: 1, signature: { fingerprint: key } });

  const plain = await rackboot('repo', 'build', dir);
  t.regex(plain.err, /the old signature is gone with the old metadata; sign again: rackboot repo sign /);
});

test('what repo build and repo verify are told wrongly is named', async (t) => {
  const work = await workDirectory(t);
  const [dir, nowhere] = [path.join(work, 'repository'), path.join(work, 'nowhere')];
  const rackboot = (...words: string[]): Promise<Outcome> =>
    runCommand(['--site', path.join(work, 'no-site'), 'repo', ...words]);
  await makePackages(dir, [{ name: 'needy', requires: ['libfoo.so.1'] }]);

  const needy = await rackboot('build', dir);
  t.is(needy.status, 1);
  t.regex(needy.err, /needy-1-1\.noarch needs libfoo\.so\.1\. Add the packages .* with --with\n$/);
  const other = await rackboot('build', dir, '--with', nowhere);
  t.is(other.status, 1);
  t.true(other.err.startsWith(`rackboot: ${nowhere}: dnf cannot read a repository there (`), other.err);
  const target = await rackboot('build', dir, '--target', 'nedy', '--with', dir);
  t.regex(target.err, /^--target nedy: no package here has that name$/m);
  for (const name of ['a/../../x', 'two words', '']) {
    const sign = await rackboot('sign', dir, '--key', 'site@rack.example', '--name', name);
    t.is(sign.status, 2, name);
    t.regex(sign.err, /^rackboot: --name .*: it ends a file's name/);
  }
  const absent = await rackboot('verify', nowhere);
  t.is(
    absent.err,
    `rackboot: ${nowhere}: no such file or directory; see how it is written, and where links lead\n`,
  );
});
