import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { KERNEL_HEAD, kernelRelease } from '../../src/image/drivers/kernel-release.js';
import { compileModule, makeDeb } from '../image/drivers/fixtures.js';
import { detailOf, openInstallerSite, installerMedia, type LabNode } from './installer.js';
import type { LabSite } from './lab-site.js';

const execute = promisify(execFile);
const node: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:00:01', ip: '10.77.0.11' };

/** Modules of Debian's kernel that its installer does not carry; bridge needs two that it does. */
const dummy = 'kernel/drivers/net/dummy.ko';
const bridge = 'kernel/net/bridge/bridge.ko';

/** Loads them as a person would, and reports what the kernel says is loaded. */
const preseed =
  'd-i preseed/early_command string modprobe dummy; modprobe bridge; ' +
  '/usr/lib/rackboot/report --wait preseed "$(echo $(cut -d" " -f1 /proc/modules | grep -E "^(bridge|dummy|llc|stp)$" | sort))"\n';

let site: LabSite;

test.before(async (t) => {
  t.timeout(120_000);
  site = await openInstallerSite([node]);
});

test.after.always(async () => {
  await site?.close();
});

/** The release of the installer's kernel, and that kernel's modules as Debian's archive has them. */
async function fetchModules(dir: string): Promise<{ release: string; modules: string }> {
  const kernel = await readFile(join(installerMedia, 'debian-installer/amd64/linux'));
  const release = kernelRelease(kernel.subarray(0, KERNEL_HEAD)) ?? '';
  await mkdir(dir);
  const options = { cwd: dir, timeout: 120_000 };
  await execute('apt-get', ['-q', 'download', `linux-image-${release}`], options);
  const [file] = (await readdir(dir)).filter((name) => name.endsWith('.deb'));
  await execute('dpkg-deb', ['-x', file ?? '', 'unpacked'], options);
  return { release, modules: join(dir, 'unpacked/lib/modules', release) };
}

test('modprobe on the booted machine loads the drivers of a layer', async (t) => {
  t.timeout(600_000);
  const { release, modules } = await fetchModules(join(site.dir, 'kernel'));
  const before = await site.rackboot('image', 'files', 'd12', '/lib/modules');
  t.regex(before, /\/stp\.ko/);
  t.notRegex(before, /\/(dummy|bridge)\.ko/);

  const layer = join(site.dir, 'nic');
  await mkdir(join(layer, 'drivers'), { recursive: true });
  await mkdir(join(layer, 'overlay'));
  await writeFile(join(layer, 'overlay/preseed.cfg'), preseed);
  await execute('sh', ['-c', 'xz -c "$0" > "$1"', join(modules, dummy), join(layer, 'drivers/dummy.ko.xz')]);
  // As a vendor of drivers packs it: in extra/, whatever the kernel calls the place.
  await makeDeb(join(layer, 'drivers/bridge.deb'), {
    [`lib/modules/${release}/extra/bridge.ko`]: await readFile(join(modules, bridge)),
  });
  await site.rackboot('image', 'build', 'd12', '--layers', `${layer}:debian-installer`);

  await site.rackboot('nodeset', 'n1', 'osimage=d12');
  const events = await site.bootUntil(node, { kind: 'network' }, ['preseed']);
  t.is(detailOf(events, 'preseed'), 'bridge dummy llc stp');
});

test('a driver for another kernel is refused, naming both', async (t) => {
  const layer = join(site.dir, 'old');
  await mkdir(join(layer, 'drivers'), { recursive: true });
  await writeFile(join(layer, 'drivers/old.ko'), await compileModule({ kernel: '5.10.0-1-amd64' }));
  const error = await t.throwsAsync<Error & { stderr: string }>(
    site.rackboot('image', 'build', 'd12', '--layers', `${layer}:debian-installer`),
  );
  t.regex(
    error.stderr,
    /^rackboot: .*drivers\/old\.ko is built for kernel 5\.10\.0-1-amd64, the image has 6\.1\.0-\d+-amd64; get the driver for the image's kernel\n$/,
  );
});
