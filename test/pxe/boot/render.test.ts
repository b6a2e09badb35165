import { execFileSync } from 'node:child_process';
import test from 'ava';
import fc from 'fast-check';
import { sampleVariables } from '../../../src/template/variables.js';
import { renderIsoConfigs } from '../../../src/pxe/boot/iso.js';
import { planLinux, type BootPlan } from '../../../src/pxe/boot/plan.js';
import { renderGrub, renderIpxe, renderIpxeEntry, renderPxelinux } from '../../../src/pxe/boot/render.js';
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
const plan = planLinux(entry, variables);
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
  t.true(lines.includes('iseq ${attempt} 5 && goto ask_again ||'));
  t.true(lines.includes(`chain --replace --autofree ${self} || goto ask_again`));
});

test('iPXE: every goto has its label, and no command opens a shell', (t) => {
  for (const text of [
    renderIpxe(plan, self),
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
    return [...text.matchAll(/^sleep (\d+)$/gm)].map(([, seconds]) => Number(seconds));
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
  t.regex(http, /^for attempt in 1 2 3 4 5; do$[^]*^ {2}sleep \d+\ndone$[^]*^reboot$/m);
  const tftp = renderGrub(plan, 'tftp');
  checkGrub(tftp);
  t.true(
    tftp.includes(`initrd '(tftp,192.0.2.1)${base}/amd64/initrd.gz' '(tftp,192.0.2.1)${base}/more+1.gz'`),
  );
  t.throws(() => renderGrub({ ...plan, serverUrl: 'https://x' }, 'http'), {
    message: /GRUB cannot speak https/,
  });
});

const plans: readonly Exclude<BootPlan, { kind: 'linux' }>[] = [
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
  const noted = planLinux(entry, variables, 'no token:\nexit ${x}');
  for (const text of [renderIpxe(noted, self), renderPxelinux(noted), renderGrub(noted, 'http')]) {
    t.regex(text, /^# rackboot: no token: exit \$ \{x\}$/m);
  }
});

test('an unknown variable in boot arguments names the entry, the line and what there is', (t) => {
  t.throws(() => planLinux({ ...entry, args: 'a {{ node.nope }}' }, variables), {
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
        text += renderGrub(planLinux(loud, variables, title), 'http');
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
  KERNEL /boot/amd64/linux
  INITRD /boot/amd64/initrd.gz,/boot/more+1.gz
  APPEND auto=true hostname=n1 url=http://192.0.2.1:8080/nodes/n1/answerfile?token=sample dyndbg="file x +p" ---

LABEL rescue
  KERNEL /boot/amd64/linux
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
