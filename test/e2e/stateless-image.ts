import { chmod, copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { packagedFile, runProgram } from '../product/commands.js';
import { DONOR, DONOR_PACKAGE, driverModules } from '../product/install-image.js';

/** What xCAT's updateflag.awk does: a line to the port for reports, once the server is ready, until it is done. */
const report = `report() {
  rm -f /answers; mkfifo /answers
  nc "$MASTER" 3002 </answers | { read -r word; [ "$word" = ready ] && echo "$1"; read -r word; } >/answers
}`;

/**
 * A stateless image in the shape of xCAT's, made of Debian's busybox, GNU cpio and the installer's kernel. Its initrd is
 * ours: it does what xCAT's dracut module does with `imgurl=` and for the port for reports, in the same order and with the
 * same programs.
 */
const initrdInit = `#!/bin/sh
PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
value() { for word in $(cat /proc/cmdline); do case "$word" in "$1="*) echo "\${word#*=}" ;; esac; done; }
${report}
for round in 1 2 3; do
  find /sys/devices -name modalias -exec cat {} + | sort -u | while read -r alias; do modprobe -q "$alias"; done
done
ip link set eth0 up
udhcpc -i eth0 -n -q -f -t 20 -T 2 -s /bin/address >/dev/null
MASTER=$(value XCAT | cut -d: -f1)
report "installstatus netbooting"
imgurl=$(value imgurl)
FILENAME=\${imgurl##*/}
cd /
until [ -r "/$FILENAME" ]; do
  wget -q -O "/$FILENAME" "$imgurl" || { rm -f "/$FILENAME"; sleep 2; }
done
NEWROOT=/sysroot
mkdir $NEWROOT
mount -t tmpfs -o mode=755 rootfs $NEWROOT
cd $NEWROOT
case "$FILENAME" in
  rootimg.cpio.gz) gzip -cd "/$FILENAME" | cpio -idum ;;
  rootimg.tar.gz) tar -zxf "/$FILENAME" ;;
  *) echo "You're dead.  rpower nodename reset to play again." ; poweroff -f ;;
esac
exec switch_root $NEWROOT /sbin/init
`;

const address = `#!/bin/sh
[ "$1" = bound ] && ip addr add "$ip/$mask" dev "$interface"
exit 0
`;

const rootInit = `#!/bin/sh
PATH=/bin
mount -t proc proc /proc
echo
echo "EVIDENCE motd=$(cat /etc/motd)"
echo "EVIDENCE owner=$(stat -c '%u:%g %a' /home/own) links=$(stat -c %h /home/one)"
echo "EVIDENCE removed=$([ -e /etc/removed ] && echo no || echo yes)"
echo "EVIDENCE line=$(cat /proc/cmdline)"
MASTER=$(sed 's/.*XCAT=\\([^: ]*\\).*/\\1/' /proc/cmdline)
${report}
report "installstatus booted"
echo "EVIDENCE info=$(cat /opt/xcat/xcatinfo | tr '\\n' ' ')"
echo EVIDENCE-END
while :; do sleep 1000; done
`;

/** Writes kernel, initrd-stateless.gz and rootimg.cpio.gz to the directory `to`, as packimage leaves them, by way of `work`; gives the tree that it packed. */
export async function writeRootimgdir(to: string, work: string): Promise<string> {
  await mkdir(to, { recursive: true });
  await packagedFile(join(DONOR, 'linux'), DONOR_PACKAGE);
  await copyFile(join(DONOR, 'linux'), join(to, 'kernel'));

  const initrd = join(work, 'initrd');
  await addPrograms(initrd, [
    ['/usr/bin/busybox', 'busybox'],
    ['/usr/bin/cpio', 'cpio'],
  ]);
  await addScript(initrd, 'init', initrdInit);
  await addScript(initrd, 'bin/address', address);
  await addModules(initrd, join(work, 'donor'));
  await pack(initrd, join(to, 'initrd-stateless.gz'));

  const root = join(work, 'rootimg');
  await addPrograms(root, [['/usr/bin/busybox', 'busybox']]);
  await mkdir(join(root, 'sbin'));
  await addScript(root, 'sbin/init', rootInit);
  await mkdir(join(root, 'etc'));
  await mkdir(join(root, 'home'));
  await writeFile(join(root, 'etc/motd'), 'as packimage left it\n');
  await writeFile(join(root, 'etc/removed'), '');
  await runProgram(
    ['sh', '-c', 'echo own > own && chown 7:8 own && chmod 640 own && echo one > one && ln one two'],
    'coreutils',
    { cwd: join(root, 'home') },
  );
  await pack(root, join(to, 'rootimg.cpio.gz'));
  return root;
}

/** Programs with the libraries they load, busybox under the names of all it does. */
async function addPrograms(root: string, programs: readonly (readonly [string, string])[]): Promise<void> {
  for (const directory of ['bin', 'dev', 'proc', 'sys'])
    await mkdir(join(root, directory), { recursive: true });
  for (const [program, packageName] of programs) {
    await packagedFile(program, packageName);
    const libraries = await runProgram(['ldd', program], 'libc-bin');
    await copyFile(program, join(root, 'bin', basename(program)));
    for (const [, file = ''] of libraries.matchAll(/(\/\S+) \(0x/g)) {
      await mkdir(join(root, dirname(file)), { recursive: true });
      await copyFile(file, join(root, file));
    }
  }
  const taken = programs.map(([program]) => basename(program));
  for (const applet of (await runProgram(['busybox', '--list'], 'busybox')).trim().split('\n'))
    if (!taken.includes(applet)) await symlink('busybox', join(root, 'bin', applet));
}

async function addScript(root: string, name: string, text: string): Promise<void> {
  await writeFile(join(root, name), text);
  await chmod(join(root, name), 0o755);
}

/** What drives a virtual machine's bus and network card. */
async function addModules(root: string, donor: string): Promise<void> {
  await mkdir(donor);
  await runProgram(
    [...['sh', '-c', 'gzip -dc "$0" | cpio --quiet -idm "lib/modules/*"'], join(DONOR, 'initrd.gz')],
    'cpio',
    { cwd: donor },
  );
  const [release = ''] = await readdir(join(donor, 'lib/modules'));
  const from = join(donor, 'lib/modules', release);
  for (const path of await readdir(from, { recursive: true })) {
    const wanted =
      driverModules.includes(basename(path, '.ko')) ||
      /\/virtio\/[^/]*\.ko$|^modules\.(builtin|order)$/.test(path);
    if (!wanted) continue;
    const target = join(root, 'lib/modules', release, path);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(join(from, path), target);
  }
  await runProgram(['depmod', '-b', root, release], 'kmod');
}

async function pack(root: string, archive: string): Promise<void> {
  await runProgram(
    ['sh', '-c', 'find . | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -n > "$0"', archive],
    'cpio',
    { cwd: root },
  );
}
