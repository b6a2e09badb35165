import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { packageRoot } from '../../../src/site/assets.js';
import { makeInstallerRepository, writeCheckout } from './installer-repository.js';

const execute = promisify(execFile);

test('every command of docs/create.md does what it says', async (t) => {
  t.timeout(600_000);
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-guide-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const { packages } = await makeInstallerRepository(dir);
  const checkout = await writeCheckout(join(dir, 'create-install-image'));
  const page = await readFile(join(packageRoot(), 'docs/create.md'), 'utf8');
  const commands = [...page.matchAll(/^```sh\n(.*?)^```$/gms)]
    .flatMap(([, block = '']) => block.trim().split('\n'))
    .map((line) =>
      line
        .replace(/--layers 8\.3:\w+/, `--layers ${checkout}`)
        .replace(/\/srv\/create-install-image\/configs\/8\.3:\w+/, checkout)
        .replaceAll('/srv/mirrors', join(dir, 'mirrors'))
        .replace(/(image create .*)$/, '$1 --efi-installer mkimage')
        .replace(/^rackboot/, `${join(packageRoot(), 'bin/rackboot')} --site ${join(dir, 'site')}`),
    );
  t.true(commands.length > 4);
  const script = join(dir, 'guide.sh');
  await mkdir(join(dir, 'work'));
  await writeFile(script, `set -e\n${commands.join('\n')}\n`);
  const rackboot = join(packageRoot(), 'bin/rackboot');
  const site = join(dir, 'site');
  await execute(rackboot, ['--site', site, 'init']);
  // What the release is mirrored from.
  await writeFile(join(site, 'rackboot.yaml'), `mirror:\n  versions: { '8.3': 'file://${packages}' }\n`);
  const { stdout } = await execute('sh', [script], { cwd: join(dir, 'work'), timeout: 500_000 });
  t.regex(stdout, /^boot +install: boot\/xen\.gz \+ boot\/vmlinuz \+ install\.img$/m);
  const { stdout: volumes } = await execute(rackboot, ['iso', 'inspect', join(dir, 'work/xcp83.iso')]);
  t.regex(volumes, /XCP-NG_830/);
});
