import { execa } from 'execa';
import test, { type ExecutionContext } from 'ava';
import { netbootArguments } from '../../../src/osimage/xcat/boot-arguments.js';
import type { BootEntry } from '../../../src/osimage/types.js';
import { ask, runSite, type RunningSite } from '../http/running-site.js';

const stateless: BootEntry = {
  kind: 'linux',
  label: 'netboot',
  title: 'Boot',
  kernel: 'kernel',
  initrds: ['initrd-stateless.gz'],
  args: netbootArguments('rootimg.cpio.gz'),
};
const files = {
  kernel: Buffer.from('the kernel'),
  'initrd-stateless.gz': Buffer.from('the initrd'),
  'rootimg.cpio.gz': Buffer.from('the image'),
};
const settings = { provmethod: 'netboot', osvers: 'rocky9.4', osarch: 'x86_64', profile: 'compute' };
const own = { from: '127.0.0.2' };

async function xcatSite(t: ExecutionContext): Promise<{ site: RunningSite; id: string; base: string }> {
  const site = await runSite(t, { xcat: { paths: 'on' }, tftp: { listen: '127.0.0.1:0' } });
  const id = await site.publish({ name: 'r9', files, boot: [stateless], settings });
  await site.addNode({
    name: 'n01',
    macs: ['525400000001'],
    ip: '127.0.0.2',
    attributes: { arch: 'x86_64' },
  });
  await site.assign('n01', { osimage: 'r9' });
  return { site, id, base: `${site.url}/images/r9@${id}/files` };
}

const words = (site: RunningSite, base: string): string =>
  `imgurl=${base}/rootimg.cpio.gz XCAT=127.0.0.1:3001 NODE=n01 FC=0 nonodestatus XCATHTTPPORT=${site.port} selinux=0`;

test('xnba, BIOS and UEFI', async (t) => {
  const { site, base } = await xcatSite(t);
  t.is(
    (await ask(site, '/tftpboot/xcat/xnba/nodes/n01', own)).text,
    `#!gpxe
#netboot rocky9.4-x86_64-compute
imgfetch -n kernel ${base}/kernel
imgload kernel
imgargs kernel ${words(site, base)} BOOTIF=01-\${netX/mac:hexhyp}
imgfetch -n initrd ${base}/initrd-stateless.gz
imgexec kernel
`,
  );
  t.is(
    (await ask(site, '/tftpboot/xcat/xnba/nodes/n01.uefi', own)).text,
    `#!gpxe
imgfetch -n kernel ${base}/kernel
imgload kernel
imgargs kernel ${words(site, base)} BOOTIF=01-\${netX/mac:hexhyp} initrd=initrd
imgfetch -n initrd ${base}/initrd-stateless.gz
imgexec kernel
`,
  );
  t.deepEqual(await site.stages('n01'), ['script', 'script']);
  t.regex(
    (await ask(site, '/tftpboot/xcat/xnba/nets/10.1.0.0_16')).text,
    /^#!gpxe\nchain http.*\/boot\.ipxe\n$/,
  );
});

test('pxe and grub2 over TFTP, grub2 over HTTP', async (t) => {
  const { site, id, base } = await xcatSite(t);
  const fetch = async (path: string): Promise<string> =>
    (
      await execa(
        'curl',
        ['-sf', '--interface', '127.0.0.2', `tftp://127.0.0.1:${site.servers.tftpPort ?? 0}/${path}`],
        { stripFinalNewline: false },
      )
    ).stdout;
  const pxe = `#netboot rocky9.4-x86_64-compute
DEFAULT xCAT
LABEL xCAT
 KERNEL /images/r9@${id}/files/kernel
 APPEND initrd=/images/r9@${id}/files/initrd-stateless.gz ${words(site, base)}
  IPAPPEND 2
`;
  t.is(await fetch('pxelinux.cfg/n01'), pxe);
  t.is(await fetch('pxelinux.cfg/7F000002'), pxe);
  const grub = (root: string): string => `#netboot rocky9.4-x86_64-compute
set timeout=5
set default="xCAT OS Deployment"
menuentry "xCAT OS Deployment" {
    insmod http
    insmod tftp
    set root=${root}
    echo Loading Install kernel ...
    linuxefi /images/r9@${id}/files/kernel ${words(site, base)} BOOTIF=$net_default_mac
    echo Loading initial ramdisk ...
    initrdefi /images/r9@${id}/files/initrd-stateless.gz
}`;
  t.is(await fetch('boot/grub2/n01'), grub('tftp,127.0.0.1'));
  t.is(await fetch('boot/grub2/grub.cfg-7F000002'), grub('tftp,127.0.0.1'));
  t.is((await ask(site, '/tftpboot/boot/grub2/n01', own)).text, grub(`http,127.0.0.1:${site.port}`));
  t.is(await fetch('xcat/osimage/r9/kernel'), 'the kernel');
});

test('the current generation’s files by redirect', async (t) => {
  const { site, id } = await xcatSite(t);
  const { status, headers } = await ask(site, '/tftpboot/xcat/osimage/r9/initrd-stateless.gz');
  t.is(status, 302);
  t.is(headers.location, `/images/r9@${id}/files/initrd-stateless.gz`);
  t.is((await ask(site, '/tftpboot/xcat/osimage/r9/other')).status, 404);
  t.is((await ask(site, '/tftpboot/xcat/osimage/r8/kernel')).status, 404);
});

test('boot and offline', async (t) => {
  const { site } = await xcatSite(t);
  await site.assign('n01', { osimage: 'r9', state: 'boot', since: site.clock.now + 1 });
  t.is((await ask(site, '/tftpboot/xcat/xnba/nodes/n01', own)).text, '#!gpxe\n#boot\nexit\n');
  t.is((await ask(site, '/tftpboot/boot/grub2/n01', own)).text, '#boot\nset timeout=5');
  t.is(
    (await ask(site, '/tftpboot/pxelinux.cfg/n01', own)).text,
    '#boot\nDEFAULT xCAT\nLABEL xCAT\n LOCALBOOT 0\n',
  );
  t.is((await ask(site, '/tftpboot/boot/grub2/grub2-n01', own)).status, 404);
  await site.assign('n01', { osimage: 'r9', state: 'offline', since: site.clock.now + 2 });
  for (const path of [
    'xcat/xnba/nodes/n01',
    'xcat/xnba/nodes/n01.uefi',
    'pxelinux.cfg/n01',
    'boot/grub2/n01',
  ])
    t.is((await ask(site, `/tftpboot/${path}`, own)).status, 404, path);
});

test('nothing of it unless xcat.paths is on; no node, no file', async (t) => {
  const off = await runSite(t);
  await off.addNode({ name: 'n01', macs: ['525400000001'], ip: '127.0.0.2' });
  t.is((await ask(off, '/tftpboot/xcat/xnba/nodes/n01', own)).status, 404);
  const { site } = await xcatSite(t);
  t.is((await ask(site, '/tftpboot/xcat/xnba/nodes/n02', own)).status, 404);
  t.is((await ask(site, '/tftpboot/../etc/passwd', own)).status, 404);
});
