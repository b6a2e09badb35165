import test from 'ava';
import fc from 'fast-check';
import { checkAnswer, type AnswerSetting } from '../../src/answer/check.js';

const xcp: AnswerSetting = { release: 'xcp-ng-8' };
const xenserver: AnswerSetting = { release: 'xenserver-2026' };

function problems(text: string, setting: AnswerSetting = xcp): string[] {
  return checkAnswer(text, setting).map(({ place, message }) => `${place.line}:${place.column} ${message}`);
}

/** A good answer file with `extra` in line 5. */
function withElement(extra: string, attributes = ''): string {
  return `<installation${attributes}>
  <source type="url">http://192.0.2.5/xcp/</source>
  <primary-disk>sda</primary-disk>
  <admin-interface name="eth0" proto="dhcp"/>
  ${extra}
</installation>`;
}

const good: readonly (readonly [string, AnswerSetting, string])[] = [
  [
    'minimal DHCP',
    xcp,
    `<installation mode="fresh" sr-type="ext">
      <primary-disk guest-storage="true">sda</primary-disk>
      <root-password type="hash">$6$salt$hash</root-password>
      <source type="url">http://192.0.2.5/xcp/</source>
      <admin-interface name="eth0" proto="dhcp"/>
      <timezone>Etc/UTC</timezone><keymap>us</keymap>
    </installation>`,
  ],
  [
    'static, VLAN, by MAC, a disk for guests, a hook',
    xcp,
    `<?xml version="1.0" encoding="utf-8"?>
    <!-- ë -->
    <installation mode="fresh">
      <primary-disk guest-storage="no" preserve-first-partition="no">nvme0n1</primary-disk>
      <guest-disks><guest-disk>sdb</guest-disk></guest-disks>
      <admin-interface hwaddr="52:54:00:00:00:01" proto="static" vlan="42">
        <ipaddr>192.0.2.10</ipaddr><subnet>255.255.255.0</subnet><gateway>192.0.2.1</gateway>
      </admin-interface>
      <name-server>192.0.2.53</name-server><hostname>h1.example.net</hostname>
      <ntp source="manual"/><ntp-server>192.0.2.123</ntp-server>
      <source type="url">http://192.0.2.5/xcp/</source>
      <script stage="filesystem-populated" type="url">http://192.0.2.5/hooks/post.sh?a=1&amp;b=2</script>
    </installation>`,
  ],
  [
    'upgrade',
    xcp,
    `<installation mode="upgrade">
      <existing-installation>sda</existing-installation>
      <source type="url">http://192.0.2.5/xcp/</source>
    </installation>`,
  ],
  ['restore', xcp, '<restore><backup-disk>sda</backup-disk></restore>'],
  [
    'driver disk, several sources, IPv6 only',
    xcp,
    `<installation mode="reinstall" srtype="lvm">
      <driver-source type="url">http://192.0.2.5/dd/e1000e/</driver-source>
      <source type="local"/>
      <source type="nfs">192.0.2.5:/export/pack</source>
      <primary-disk>sda</primary-disk>
      <admin-interface name="eth0" proto="none" protov6="autoconf"/>
      <script stage="installation-start" type="nfs">192.0.2.5:/export/pre.sh</script>
      <service name="sshd" state="enabled"/>
    </installation>`,
  ],
  [
    'XCP-ng: md RAID, unsigned tree',
    { ...xcp, signed: false },
    `<installation repo-gpgcheck="false" gpgcheck="false">
      <raid device="md127"><disk>sda</disk><disk>sdb</disk></raid>
      <primary-disk>md127</primary-disk>
      <source type="url">http://192.0.2.5/xcp/</source>
      <admin-interface name="eth0" proto="dhcp"/><network-backend>bridge</network-backend>
    </installation>`,
  ],
  [
    'XenServer: software RAID, ssh-mode, driver variant',
    xenserver,
    `<installation>
      <primary-disk swraid="true" fs-type="ext4">sda,sdb</primary-disk>
      <source type="url">http://192.0.2.5/xs/</source>
      <admin-interface name="eth0" proto="dhcp"/>
      <ssh-mode>off</ssh-mode>
      <script stage="packages-installed" type="url">file:///hook</script>
      <selected-multiversion-drivers><driver name="ice">v2</driver></selected-multiversion-drivers>
    </installation>`,
  ],
];

for (const [name, setting, text] of good) {
  test(`accepted: ${name}`, (t) => t.deepEqual(problems(text, setting), []));
}

const bad: readonly (readonly [string, string])[] = [
  ['<primry-disk/>', 'has no element <primry-disk>; did you mean primary-disk? It takes source, '],
  ['<primary-disk>sdb</primary-disk>', '<primary-disk> is there twice, first in line 3; keep one'],
  ['<hostname>a b</hostname>', '<hostname> "a b" is not a host name'],
  ['<timezone>Mars/Base</timezone>', '<timezone> "Mars/Base" is not a time zone'],
  ['<timezone><![CDATA[Etc/UTC]]></timezone>', 'the installer drops CDATA'],
  [
    '<script stage="instalation-start" type="url">http://a/b</script>',
    'stage="instalation-start" is not one of installation-start, filesystem-populated, installation-complete',
  ],
  ['<script stage="packages-installed" type="url">http://a/b</script>', 'runs with XenServer'],
  ['<script type="url">http://a/b</script>', '<script> needs stage='],
  ['<script stage="installation-start" type="url">/hook.sh</script>', '"/hook.sh" is not an http://'],
  ['<script stage="installation-start" type="ftp">/hook.sh</script>', 'type="ftp" is not one of url, nfs'],
  ['<source type="URL">http://a/</source>', 'type="URL" is not one of url, nfs, local'],
  ['<source type="url"></source>', '<source type="url"> "" is not an http://'],
  ['<source type="nfs">server/dir</source>', '"server/dir" is not server:/directory'],
  ['<source type="url">http://u:p@a:8080/</source>', 'sends no password'],
  ['<source type="url" gpgcheck="on">http://a/</source>', 'gpgcheck="on" is not one of yes, no, true, false'],
  ['<ntp source="ntp.example.net"/>', 'source="ntp.example.net" is not one of dhcp, default, manual, none'],
  [
    '<ntp source="dhcp"/><ntp-server>192.0.2.1</ntp-server>',
    '<ntp-server> only counts with <ntp source="manual"/>',
  ],
  ['<ui-confirmation-prompt>false</ui-confirmation-prompt>', 'for false leave the element out'],
  ['<bootloader location="mrb">grub2</bootloader>', 'location="mrb" is not one of mbr, partition'],
  ['<bootloader>extlinux</bootloader>', '"extlinux" is not empty or grub2'],
  ['<network-backend>ovs</network-backend>', '"ovs" is not one of bridge, openvswitch, vswitch'],
  ['<root-password>$6$salt$hash</root-password>', 'write type="hash"'],
  ['<root-password type="hash">secret</root-password>', 'holds no hash'],
  ['<service name="sshd" state="on"/>', 'state="on" is not one of enabled, disabled'],
  ['<service name="a" state="enabled"/><service name="a" state="disabled"/>', 'is there twice'],
  ['<existing-installation>sda</existing-installation>', 'is for mode="upgrade", and this is mode="fresh"'],
  ['<ssh-mode>on</ssh-mode>', 'is for XenServer’s installer of 2026 only'],
  ['<guest-disk></guest-disk>', '<guest-disk> "" is not one disk'],
  ['<raid device="md127"><disk>sda</disk></raid>', '<raid> has one <disk>'],
  ['<name-server>ns.example.net</name-server>', 'is not an IP address'],
  ['stray', '<installation> holds "stray"'],
];

for (const [element, expected] of bad) {
  test(`refused: ${element}`, (t) => {
    const [problem = 'none'] = problems(withElement(element));
    t.true(problem.includes(expected), problem);
    t.regex(problem, /^5:/);
  });
}

test('what is missing is named where it should be', (t) => {
  t.deepEqual(problems('<installation mode="fresh"/>'), [
    '1:1 <installation> needs <source> in it',
    '1:1 <installation> needs <primary-disk> in it',
    '1:1 <installation> needs <admin-interface> in it',
  ]);
  t.deepEqual(problems('<installation mode="upgrade"><source type="local"/></installation>'), [
    '1:1 <installation> needs <existing-installation> in it',
  ]);
});

test('a static address needs all of its parts, and an interface its name', (t) => {
  const text = withElement('').replace(
    '<admin-interface name="eth0" proto="dhcp"/>',
    '<admin-interface proto="static" vlan="4095"><ip>192.0.2.300</ip></admin-interface>',
  );
  t.deepEqual(problems(text), [
    '4:3 <admin-interface> needs a name or a hwaddr',
    '4:3 <admin-interface> with a static address needs <subnet-mask> in it',
    '4:3 <admin-interface> with a static address needs <gateway> in it',
    '4:35 <admin-interface> vlan="4095" is not a number from 1 to 4094',
    '4:51 <ip> "192.0.2.300" is not an IPv4 address',
  ]);
});

test('the column is that of the attribute, counted in characters', (t) => {
  const [problem] = problems(
    withElement('<script stage="installation-start" type="url">http://a/é</script><ntp  source = "x"/>'),
  );
  t.is(problem, '5:74 <ntp> source="x" is not one of dhcp, default, manual, none');
});

test('a mode nobody knows and an attribute nobody knows', (t) => {
  const text = withElement('', ' mode="new" sr-typ="ext"');
  t.deepEqual(problems(text), [
    '1:15 <installation> mode="new" is not one of fresh, reinstall, upgrade',
    '1:26 <installation> has no attribute sr-typ; did you mean sr-type? It takes mode, sr-type, srtype, repo-gpgcheck, gpgcheck',
  ]);
});

test('<upgrade> without a mode would wipe the disk', (t) => {
  const [problem] = problems(
    withElement('').replaceAll('installation>', 'upgrade>').replace('<installation', '<upgrade'),
  );
  t.regex(problem ?? '', /^1:1 <upgrade> without mode="upgrade" wipes the disk/);
});

test('checking is never switched off for a tree that is signed', (t) => {
  const text = withElement('', ' repo-gpgcheck="False"');
  t.deepEqual(problems(text, { ...xcp, signed: true }), [
    '1:15 <installation> repo-gpgcheck is off, and the install tree is signed; leave it out',
  ]);
  t.deepEqual(problems(text, { ...xcp, signed: false }), []);
  t.regex(problems(text, xenserver)[0] ?? '', /repo-gpgcheck is for XCP-ng 8 only/);
});

test('what is no XML is told with its place', (t) => {
  t.deepEqual(
    problems('<installation>\n  <source>a & b</source>\n</installation>').map((line) => line.slice(0, 2)),
    ['2:'],
  );
  t.regex(problems('<installation>\n<source>\n</installation>')[0] ?? '', /^3:\d+ .*source/);
  t.is(problems('').length, 1);
  t.regex(problems('<kickstart/>')[0] ?? '', /^1:1 <kickstart> is no answer file/);
  t.regex(problems('<x:installation xmlns:x="u"/>')[0] ?? '', /is no answer file/);
});

test('line ends of DOS do not move lines', (t) => {
  const text = withElement('<keymap>*</keymap>').replaceAll('\n', '\r\n');
  t.is(problems(text)[0], '5:11 <keymap> "*" is not the name of a keymap as us or de-latin1');
});

test('values of a sample are let through', (t) => {
  const text = withElement('<hostname>sample-a b</hostname><service name="sample-x" state="sample-state"/>');
  t.deepEqual(problems(text, { ...xcp, sample: /\bsample-/ }), []);
  t.is(problems(text).length, 2);
});

test('property: any text gives problems at places within it, or none', (t) => {
  const good = withElement(
    '<hostname>h\u00e9\u{1f600}</hostname><script stage="x" type="url">a</script>',
    ' mode="fresh"',
  );
  const piece = fc.constantFrom(
    '<',
    '>',
    '/',
    '"',
    '&',
    '&amp;',
    '<!--',
    '<![CDATA[',
    '\u{1f600}',
    '\r\n',
    'a=',
    '<source>',
  );
  fc.assert(
    fc.property(fc.nat(good.length), fc.nat(12), fc.array(piece, { maxLength: 4 }), (at, cut, pieces) => {
      const text = good.slice(0, at) + pieces.join('') + good.slice(at + cut);
      const lines = text.replaceAll('\r\n', '\n').split('\n');
      for (const { place, message } of checkAnswer(text, xcp)) {
        t.true(message !== '' && !message.includes('\n'));
        t.true(place.line >= 1 && place.line <= lines.length);
        t.true(place.column >= 1 && place.column <= (lines[place.line - 1] ?? '').length + 1);
      }
    }),
    { numRuns: 2000 },
  );
});
