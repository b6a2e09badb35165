import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { buildRepository } from '../../src/repo/build.js';
import { newSite } from '../cli/in-process.js';
import { makePackages, workDirectory } from '../repo/rpm-packages.js';
import { keyring } from '../repo/signing-keys.js';
import { serveDirectory } from '../repo/web-server.js';
import { TREEINFO_TEXT } from '../osimage/family/xcp-ng-media.js';
import { shellLines, shellProgram } from './guide-blocks.js';

const exec = promisify(execFile);

/** Commands on an osimage: test/cli/tree-packages.test.ts builds one with packages. */
const ELSEWHERE = /^(?:mkdir|cp|rackboot image) /;

test('every command of docs/repositories.md runs, one after the other', async (t) => {
  t.timeout(600_000);
  const { dir } = await newSite(t);
  const work = await workDirectory(t);
  const keys = await keyring(t);
  const key = await keys.make('site@rack.example');
  const web = join(work, 'web');
  const tree = join(web, 'xcp-ng/8.3');
  await makePackages(join(tree, 'Packages'), [
    { name: 'xcp-ng-deps', requires: ['kernel'] },
    ...['kernel', 'kernel-devel', 'gcc'].map((name) => ({ name })),
  ]);
  await writeFile(join(tree, '.treeinfo'), TREEINFO_TEXT);
  await writeFile(join(tree, 'RPM-GPG-KEY-xcpng'), await keys.publicKey(key));
  await makePackages(join(work, 'updates'), [{ name: 'my-driver', requires: ['kernel'] }]);
  const packages = (await readdir(join(tree, 'Packages'))).map((name) => join(tree, 'Packages', name));
  await keys.signPackages(key, packages);
  await buildRepository({ dir: tree, revision: '1' });
  const { url } = await serveDirectory(t, web);

  const signing = { by: 'gnupg', gnupg: { key: 'site@rack.example', home: keys.home } };
  const versions = { '8.3': `${url}/xcp-ng/8.3` };
  await writeFile(join(dir, 'rackboot.yaml'), JSON.stringify({ signing, mirror: { versions } }));
  const gpg = `gpg --homedir '${keys.home}' --batch --yes --armor`;
  const script = `#!/bin/sh
set -e
cd "$1"
${gpg} --digest-algo SHA256 --detach-sign repodata/repomd.xml
${gpg} --export site@rack.example > RPM-GPG-KEY-site
`;
  await writeFile(join(work, 'sign.sh'), script);
  await chmod(join(work, 'sign.sh'), 0o755);
  await mkdir(join(work, 'mirrors'));

  const lines = (await shellLines('repositories.md')).filter((line) => !ELSEWHERE.test(line));
  t.true(lines.length >= 10, `${lines.length} commands`);
  for (const line of lines) {
    const here = line
      .replace('http://mirror.example', url)
      .replace(/http:\/\/10\.77\.0\.1:8080\/images\/\S+\/tree/, `${url}/signed`)
      .replaceAll('/srv/', `${work}/`);
    if (here.includes(`${url}/signed`)) await exec('cp', ['-r', join(work, 'xcp-ng'), join(web, 'signed')]);
    const environment = { ...process.env, GNUPGHOME: keys.home };
    await t.notThrowsAsync(
      exec('bash', ['-c', shellProgram(dir) + here], { cwd: work, timeout: 120_000, env: environment }),
      line,
    );
  }
});
