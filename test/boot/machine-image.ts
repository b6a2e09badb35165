import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { debianFile, KERNEL, KERNEL_PACKAGE } from '../e2e/plain-machine.js';
import { archiveBytes, item, type Item } from '../image/newc.js';
import { output } from '../image/programs.js';
import { rootItems } from '../osimage/edit/root-items.js';

/** Xen as Debian packages it. */
const XEN = '/boot/xen-4.17-amd64.gz';
const XEN_PACKAGE = 'xen-hypervisor-4.17-amd64';

/** How the archive that is edited lies in its file. */
export type ArchiveLayout =
  | 'single' // one gzip archive
  | 'appended' // a gzip archive, and one more behind it
  | 'appended-bzip2'; // a bzip2 archive, and a gzip one behind it

/** What a machine's init found. */
export interface Evidence {
  readonly marker: string; // content of /etc/marker
  readonly appended: string; // of /etc/appended: `base`, or what the second archive of the file holds
  readonly second: string; // of /etc/second, which the boot entry's second file holds
  readonly hypervisor: string; // /sys/hypervisor/type
  readonly lockdown: string; // the kernel's: integrity under Secure Boot
  readonly line: string; // /proc/cmdline
}

const init = `#!/bin/sh
box=/bin/busybox
$box mkdir -p /proc /sys
$box mount -t proc proc /proc
$box mount -t sysfs sysfs /sys
$box mount -t securityfs securityfs /sys/kernel/security
tell() { echo "EVIDENCE $1=$($box cat $2 2>/dev/null || echo none)"; }
echo
tell marker /etc/marker
tell appended /etc/appended
tell second /etc/second
tell hypervisor /sys/hypervisor/type
tell lockdown /sys/kernel/security/lockdown
tell line /proc/cmdline
echo EVIDENCE-END
$box poweroff -f
`;

const text = (name: string, ino: number, content: string): Item =>
  item({ name, ino, mtime: 1_000_000_000, data: Buffer.from(`${content}\n`) });

function packed(codec: 'gzip' | 'bzip2', items: readonly Item[]): Promise<Buffer> | Buffer {
  const plain = archiveBytes(items);
  return codec === 'gzip' ? gzipSync(plain) : output('bzip2', ['-c'], plain);
}

/**
 * Writes the media of a small installer in XCP-ng's layout into the directory `to`: boot entries `linux`, `two` (with a
 * second archive file) and `xen`. Its init tells what it finds on the console, and powers off.
 */
export async function writeMedia(to: string, layout: ArchiveLayout): Promise<void> {
  const main = [
    ...rootItems(),
    item({ name: 'init', ino: 80_000, mode: 0o100755, data: Buffer.from(init) }),
    text('etc/marker', 80_001, 'the vendor’s'),
    text('etc/appended', 80_002, 'base'),
  ];
  const archive = await packed(layout === 'appended-bzip2' ? 'bzip2' : 'gzip', main);
  const behind =
    layout === 'single' ? Buffer.alloc(0) : await packed('gzip', [text('etc/appended', 80_003, 'appended')]);
  await mkdir(join(to, 'boot/isolinux'), { recursive: true });
  await writeFile(join(to, 'boot/vmlinuz'), await debianFile(KERNEL, KERNEL_PACKAGE));
  await writeFile(join(to, 'boot/xen.gz'), await debianFile(XEN, XEN_PACKAGE));
  await writeFile(join(to, 'install.img'), Buffer.concat([archive, behind]));
  await writeFile(join(to, 'second.img'), await packed('gzip', [text('etc/second', 80_004, 'second')]));
  await writeFile(
    join(to, 'boot/isolinux/isolinux.cfg'),
    `DEFAULT xen
LABEL xen
  KERNEL mboot.c32
  APPEND /boot/xen.gz dom0_mem=400M com1=115200,8n1 console=com1 --- /boot/vmlinuz console=hvc0 quiet --- /install.img
LABEL linux
  KERNEL /boot/vmlinuz
  APPEND initrd=/install.img console=ttyS0 quiet
LABEL two
  KERNEL /boot/vmlinuz
  APPEND initrd=/install.img,/second.img console=ttyS0 quiet
`,
  );
}

/** The evidence on a machine's console, or undefined as long as it is not whole. */
export function evidenceOf(console: string): Evidence | undefined {
  const lines = console.replaceAll('\r', '').split('\n');
  if (!lines.includes('EVIDENCE-END')) return undefined;
  const told = (key: keyof Evidence): string => {
    const line = lines.find((each) => each.includes(`EVIDENCE ${key}=`)) ?? '';
    return line.slice(line.indexOf('=') + 1);
  };
  return {
    marker: told('marker'),
    appended: told('appended'),
    second: told('second'),
    hypervisor: told('hypervisor'),
    lockdown: told('lockdown'),
    line: told('line'),
  };
}
