import { execFileSync } from 'node:child_process';
import test from 'ava';
import fc from 'fast-check';
import { sampleVariables } from '../../../src/template/variables.js';
import { fillLoaderTemplate } from '../../../src/pxe/boot/loader-templates.js';
import { renderIsoConfigs } from '../../../src/pxe/boot/iso.js';
import { planEntry, type BootPlan, type SystemBoot } from '../../../src/pxe/boot/plan.js';
import {
  renderGrub,
  renderGrubAsking,
  renderIpxe,
  renderIpxeEntry,
  renderPxelinux,
} from '../../../src/pxe/boot/render.js';
import type { BootEntry } from '../../../src/osimage/types.js';

const entry: BootEntry = {
  kind: 'linux',
  label: 'install',
  title: "Debian 12's installer",
  kernel: 'amd64/linux',
  initrds: ['amd64/initrd.gz', 'more+1.gz'],
  args: 'auto=true hostname={{ node.name }} url={{ answerfile }} dyndbg="file x +p" ---',
};
const variables = sampleVariables({ console: 'ttyS0' });
const plan = planEntry(entry, variables);
const self = 'http://192.0.2.1:8080/nodes/n1/boot.ipxe';
const base = `/images/sample@${'0'.repeat(64)}/files`;

/** Throws unless GRUB's own parser (package grub-common) takes the text. */
function checkGrub(text: string): void {
  execFileSync('grub-script-check', { input: text, stdio: ['pipe', 'ignore', 'pipe'] });
}

test('iPXE: every file by a pinned URL, and named in order for UEFI', (t) => {
  const lines = renderIpxe(plan, self).split('\n');
  t.is(lines[0], '#!ipxe');
  t.true(
    lines.includes(
      `kernel --name kernel http://192.0.2.1:8080${base}/amd64/linux initrd=initrd0 initrd=initrd1 auto=true hostname=n1 url=http://192.0.2.1:8080/nodes/n1/answerfile?token=sample dyndbg="file x +p" --- || goto failed`,
    ),
  );
  t.true(lines.includes(`initrd --name initrd0 http://192.0.2.1:8080${base}/amd64/initrd.gz || goto failed`));
  t.true(lines.includes(`initrd --name initrd1 http://192.0.2.1:8080${base}/more+1.gz || goto failed`));
  t.true(lines.includes('iseq ${attempt} 4 && goto ask_again ||'));
  t.true(lines.includes(`chain --replace --autofree ${self} || goto ask_again`));
});

test('iPXE: every goto has its label, and no command opens a shell', (t) => {
  for (const text of [
    renderIpxe(plan, self),
    renderIpxe(xen, self),
    renderIpxe({ kind: 'local', node: 'n1', reason: 'x' }, ''),
    renderIpxeEntry(self),
  ]) {
    const labels = [...text.matchAll(/^:(\w+)$/gm)].map(([, label]) => label);
    for (const [, label] of text.matchAll(/goto (\w+)/g)) t.true(labels.includes(label), label);
    t.notRegex(text, /^\s*(shell|login|config|prompt)\b/m);
  }
});

test('iPXE: a rack does not retry in step', (t) => {
  const pauses = Array.from({ length: 50 }, (_, n) => {
    const text = renderIpxe({ ...plan, node: `n${n}` }, self);
    return [...text.matchAll(/^(?:sleep|set pause:int32) (\d+)$/gm)].map(([, seconds]) => Number(seconds));
  });
  for (const [short = 0, long = 0] of pauses) {
    t.true(short >= 3 && short < 8);
    t.true(long >= 30 && long < 60);
  }
  t.true(new Set(pauses.map(String)).size > 10);
});

test('PXELINUX: the same entry', (t) => {
  t.is(
    renderPxelinux(plan),
    `# rackboot: n1: sample@000000000000 install
DEFAULT rackboot
PROMPT 0
TIMEOUT 0

LABEL rackboot
  KERNEL ${base}/amd64/linux
  INITRD ${base}/amd64/initrd.gz,${base}/more+1.gz
  APPEND auto=true hostname=n1 url=http://192.0.2.1:8080/nodes/n1/answerfile?token=sample dyndbg="file x +p" ---
`,
  );
});

test('GRUB: the same entry, by HTTP and by TFTP, as its own parser takes it', (t) => {
  const http = renderGrub(plan, 'http');
  checkGrub(http);
  t.true(http.includes(`if linux '(http,192.0.2.1:8080)${base}/amd64/linux' auto=true hostname=n1`));
  t.true(http.includes(`'dyndbg=file x +p' ---; then`));
  t.regex(http, /^for pause in 7 14 28 56; do$[^]*^ {2}sleep \$pause\ndone$[^]*^ {2}reboot\nfi$/m);
  const tftp = renderGrub(plan, 'tftp');
  checkGrub(tftp);
  t.true(
    tftp.includes(`initrd '(tftp,192.0.2.1)${base}/amd64/initrd.gz' '(tftp,192.0.2.1)${base}/more+1.gz'`),
  );
  t.throws(() => renderGrub({ ...plan, serverUrl: 'https://x' }, 'http'), {
    message: /GRUB cannot speak https/,
  });
});

const xenEntry: BootEntry = {
  kind: 'xen',
  label: 'install',
  title: 'XCP-ng',
  hypervisor: 'boot/xen.gz',
  hypervisorArgs: 'dom0_mem=max:2048M com1=115200,8n1 console=com1,vga',
  kernel: 'boot/vmlinuz',
  args: 'console=hvc0 install answerfile={{ answerfile }}',
  initrds: ['install.img'],
};
const xen = planEntry(xenEntry, variables);
const xenWords = 'dom0_mem=max:2048M com1=115200,8n1 console=com1,vga';
const dom0Words = 'console=hvc0 install answerfile=http://192.0.2.1:8080/nodes/n1/answerfile?token=sample';

test('iPXE: Xen unpacked by multiboot on BIOS, by our GRUB on UEFI', (t) => {
  const lines = renderIpxe(xen, self).split('\n');
  const files = `http://192.0.2.1:8080${base.replace(/0{48}\/files$/, '/files')}`;
  const unpacked = files.replace(/files$/, 'hypervisor');
  t.true(lines.includes(`kernel --name xen ${unpacked}/boot/xen.gz ${xenWords} || goto failed`));
  t.true(lines.includes(`module --name kernel ${files}/boot/vmlinuz ${dom0Words} || goto failed`));
  t.true(lines.includes(`module --name initrd ${files}/install.img || goto failed`));
  t.true(lines.includes('iseq ${platform} efi && goto efi ||'));
  t.true(lines.includes('chain --autofree http://192.0.2.1:8080/loaders/core-x64.efi || goto failed'));
});

test('iPXE: Xen with lines longer than its room goes on by PXELINUX', (t) => {
  const long = planEntry({ ...xenEntry, args: `${xenEntry.args} fill=${'x'.repeat(300)}` }, variables);
  const lines = renderIpxe(long, self).split('\n');
  t.false(lines.some((line) => line.startsWith('kernel ')));
  t.true(lines.includes('set netX/next-server 192.0.2.1'));
  t.true(lines.includes('chain --autofree tftp://192.0.2.1/pxelinux.0 || goto failed'));
  t.true(lines.includes('iseq ${platform} efi && goto efi ||'));
});

test('PXELINUX: Xen by mboot.c32', (t) => {
  t.is(
    renderPxelinux(xen),
    `# rackboot: n1: sample@000000000000 install
DEFAULT rackboot
PROMPT 0
TIMEOUT 0

LABEL rackboot
  KERNEL mboot.c32
  APPEND ${base}/boot/xen.gz ${xenWords} --- ${base}/boot/vmlinuz ${dom0Words} --- ${base}/install.img
`,
  );
});

test('PXELINUX: what mboot.c32 would lose or read differently is refused', (t) => {
  const several = planEntry(xenEntry, variables, { isFirstOfSeveral: true });
  t.throws(() => renderPxelinux(several), {
    name: 'BootError',
    message: /loses those behind it; boot it by/,
  });
  t.notThrows(() => renderGrub(several, 'http'));
  t.notThrows(() => renderIpxe(several, self));
  const dashes = planEntry({ ...xenEntry, args: 'a --- b' }, variables);
  t.throws(() => renderPxelinux(dashes), { message: /mboot\.c32 cannot pass '---'/ });
});

test('GRUB: Xen by multiboot2, its archive as it is', (t) => {
  const http = renderGrub(xen, 'http');
  checkGrub(http);
  const root = `(http,192.0.2.1:8080)${base}`;
  t.true(http.includes(`if multiboot2 '${root}/boot/xen.gz' dom0_mem=max:2048M com1=115200,8n1 `));
  t.true(http.includes(`if module2 --nounzip '${root}/boot/vmlinuz' console=hvc0 install '`));
  t.true(http.includes(`if module2 --nounzip '${root}/install.img'; then\n        boot\n`));
  checkGrub(renderGrub(xen, 'tftp'));
  t.regex(http, /^if \[ "\$lockdown" = y \]; then\n.*Secure Boot cannot boot Xen/m);
});

test('Xen as an EFI program is refused: no loader here starts it over the network', (t) => {
  const efi = planEntry({ ...xenEntry, hypervisor: 'boot/xen.efi' }, variables);
  for (const render of [
    () => renderIpxe(efi, self),
    () => renderPxelinux(efi),
    () => renderGrub(efi, 'http'),
  ])
    t.throws(render, { name: 'BootError', message: /starts boot\/xen\.efi, an EFI program, / });
});

test('our own GRUB holds a script that GRUB can read', (t) => {
  const text = fillLoaderTemplate('grub/core.liquid', { script: '(http,192.0.2.1:8080)/grub.cfg' });
  checkGrub(text);
  t.true(text.includes('source "(http,192.0.2.1:8080)/grub.cfg?mac=$net_default_mac"'));
});

test('GRUB that has a name to ask by asks until it is told', (t) => {
  const text = renderGrubAsking('n1', 'http://192.0.2.1:8080', 'tftp');
  checkGrub(text);
  t.regex(text, /^while true; do\n {2}source '\(tftp,192\.0\.2\.1\)\/nodes\/n1\/grub\.cfg'\n/m);
});

test('Xen hands on one archive, and lines of 1023 bytes', (t) => {
  t.throws(() => planEntry({ ...xenEntry, initrds: ['a', 'b'] }, variables), {
    name: 'BootError',
    message: /has 2 archives, and Xen hands one on; make one archive of them/,
  });
  t.throws(() => planEntry({ ...xenEntry, args: 'x'.repeat(1024) }, variables), {
    message: /1024 bytes long and Xen takes 1023/,
  });
  t.throws(() => planEntry({ ...xenEntry, hypervisorArgs: 'x'.repeat(1024) }, variables), {
    message: /1024 bytes long and Xen takes 1023/,
  });
});

test('a node has words of its own, after all others', (t) => {
  const attributes = { bootargs: 'console=ttyS1 quiet', xenargs: 'loglvl=all' };
  const own = { ...variables, node: { ...variables.node, attributes } };
  const { args } = planEntry(entry, own);
  t.deepEqual(args.slice(-3), ['---', 'console=ttyS1', 'quiet']);
  const planned = planEntry(xenEntry, own);
  t.deepEqual(planned.args.slice(-2), ['console=ttyS1', 'quiet']);
  t.is(planned.kind === 'xen' && planned.hypervisorArgs.at(-1), 'loglvl=all');
});

const plans: readonly Exclude<BootPlan, SystemBoot>[] = [
  { kind: 'local', node: 'n1', reason: 'it is set to boot' },
  { kind: 'unknown', reason: 'no node has MAC 52:54:00:00:00:01' },
];
for (const other of plans) {
  test(`${other.kind}: every loader goes on to the disk and says why`, (t) => {
    const ipxe = renderIpxe(other, self);
    t.regex(ipxe, /sanboot --no-describe --drive 0x80 \|\| goto next_device\n\n:next_device\nexit\n$/);
    t.regex(ipxe, /iseq \$\{platform\} efi && goto next_device/);
    t.regex(renderPxelinux(other), /LOCALBOOT 0/);
    t.regex(renderGrub(other, 'http'), /^exit$/m);
    checkGrub(renderGrub(other, 'http'));
    for (const text of [ipxe, renderPxelinux(other), renderGrub(other, 'http')]) {
      t.true(text.includes(other.reason));
      t.false(/kernel|linux|initrd/.test(text.replaceAll('# rackboot', '')));
    }
  });
}

test('a note says why there is no token, as a comment', (t) => {
  const noted = planEntry(entry, variables, { note: 'no token:\nexit ${x}' });
  for (const text of [renderIpxe(noted, self), renderPxelinux(noted), renderGrub(noted, 'http')]) {
    t.regex(text, /^# rackboot: no token: exit \$ \{x\}$/m);
  }
});

test('an unknown variable in boot arguments names the entry, the line and what there is', (t) => {
  t.throws(() => planEntry({ ...entry, args: 'a {{ node.nope }}' }, variables), {
    name: 'TemplateError',
    message:
      /^boot arguments of sample@000000000000 install line 1: undefined variable: node\.nope; known are: node\.name, node\.ip, /,
  });
});

test('no title, note or argument breaks a GRUB script', (t) => {
  const printable = fc.string({
    unit: fc.constantFrom(...'ab $"\'\\;|&{}()<>#*?!~`=,-'.split('')),
    maxLength: 20,
  });
  fc.assert(
    fc.property(printable, printable, (title, args) => {
      let text: string;
      try {
        const loud = { ...entry, title, args: `x ${args.replace(/[{}]/g, '')}` };
        text = renderIsoConfigs([loud], variables, { title, timeoutSeconds: 5, serial: true }).grub;
        text += renderGrub(planEntry(loud, variables, { note: title }), 'http');
      } catch (error) {
        return error instanceof Error && error.name === 'BootError';
      }
      checkGrub(text);
      return true;
    }),
    { numRuns: 150 },
  );
  t.pass();
});

test('the menus of an ISO hold Xen entries, too', (t) => {
  const options = { title: 'x', base: '/boot', timeoutSeconds: 0, serial: false };
  const { isolinux, grub } = renderIsoConfigs([xenEntry], variables, options);
  t.true(
    isolinux.includes(
      `  KERNEL mboot.c32\n  APPEND /boot/boot/xen.gz ${xenWords} --- /boot/boot/vmlinuz ${dom0Words} --- /boot/install.img\n`,
    ),
  );
  checkGrub(grub);
  t.regex(
    grub,
    /^ {2}multiboot2 \/boot\/boot\/xen\.gz dom0_mem=max:2048M .*\n {2}module2 --nounzip \/boot\/boot\/vmlinuz /m,
  );
  t.throws(() => renderIsoConfigs([xenEntry], variables, { ...options, losing: ['install'] }), {
    message: /loses those behind it/,
  });
});

test('the menus of an ISO hold every entry, the first as default', (t) => {
  const rescue: BootEntry = { ...entry, label: 'rescue', title: 'Rescue', initrds: [], args: '' };
  const { isolinux, grub } = renderIsoConfigs([entry, rescue], variables, {
    title: 'Debian 12 for n1',
    base: '/boot',
    timeoutSeconds: 5,
    serial: true,
  });
  t.is(
    isolinux,
    `SERIAL 0 115200
DEFAULT install
PROMPT 1
TIMEOUT 50
SAY Debian 12 for n1
SAY   install: Debian 12's installer
SAY   rescue: Rescue

LABEL install
  LINUX /boot/amd64/linux
  INITRD /boot/amd64/initrd.gz,/boot/more+1.gz
  APPEND auto=true hostname=n1 url=http://192.0.2.1:8080/nodes/n1/answerfile?token=sample dyndbg="file x +p" ---

LABEL rescue
  LINUX /boot/amd64/linux
`,
  );
  checkGrub(grub);
  t.regex(grub, /set default=install\nset timeout=5\n/);
  t.regex(
    grub,
    /menuentry 'Debian 12'\\''s installer' --id install \{\n {2}linux \/boot\/amd64\/linux auto=true/,
  );
  t.regex(grub, /terminal_output console serial/);
  const silent = renderIsoConfigs([entry], variables, { title: 'x', timeoutSeconds: 0, serial: false });
  t.regex(silent.isolinux, /^DEFAULT install\nPROMPT 0\nTIMEOUT 0\n/);
  t.notRegex(silent.grub, /serial/);
});

test('a memory test: each firmware its own program, and none where it has none', (t) => {
  const both: BootEntry = {
    kind: 'linux',
    label: 'memtest',
    title: 'memtest',
    kernel: 'boot/memtest.bin',
    efiProgram: 'boot/memtest.efi',
    initrds: [],
    args: '',
  };
  const { efiProgram: _program, ...biosOnly } = { ...both, firmware: 'bios' as const };
  const uefiOnly = { ...biosOnly, kernel: 'boot/memtest.efi', firmware: 'uefi' as const };
  const [plan, bios, uefi] = [both, biosOnly, uefiOnly].map((one) => planEntry(one, variables)) as [
    SystemBoot,
    SystemBoot,
    SystemBoot,
  ];
  const script = renderIpxe(plan, self);
  t.regex(
    script,
    /^set kernel \S+\/files\/boot\/memtest\.bin\niseq \$\{platform\} efi && set kernel \S+\/memtest\.efi \|\|$/m,
  );
  t.regex(script, /^kernel --name kernel \$\{kernel\} +\|\| goto failed$/m);
  t.regex(renderPxelinux(plan), /KERNEL \S+\/memtest\.bin/);
  t.regex(renderGrub(plan, 'http'), /if chainloader \S+memtest\.efi'?; then/);
  checkGrub(renderGrub(plan, 'http'));
  t.regex(
    renderIpxe(bios, self),
    /^iseq \$\{platform\} efi && goto wrong_firmware \|\|$[^]*^:wrong_firmware$[^]*^exit$/m,
  );
  t.regex(renderIpxe(uefi, self), /^iseq \$\{platform\} efi \|\| goto wrong_firmware$/m);
  t.throws(() => renderGrub(bios, 'http'), { message: /memtest starts on BIOS only, and GRUB is for UEFI/ });
  t.throws(() => renderPxelinux(uefi), { message: /memtest starts on UEFI only, and PXELINUX is for BIOS/ });
  t.regex(renderGrub(uefi, 'http'), /if chainloader \S+memtest\.efi'?; then/);
});
