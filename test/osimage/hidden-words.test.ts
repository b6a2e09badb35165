import test from 'ava';
import { HIDDEN, shownBoot, shownLine, shownSetting } from '../../src/osimage/hidden-words.js';

const HASHES = [
  '$6$Yh3xQ0aB$WkV1p7o9r.ZfTqkN0Jx8YcR2m3v5LdE6hUuS4iGgXbPzOaKjHwFtDlCsMnBvQyIeTrAu0x1y2z3',
  '$6$rounds=5000$saltsalt$WkV1p7o9r.ZfTqkN0Jx8YcR2m3v5LdE6hUuS4',
  '$5$saltsalt$WkV1p7o9r.ZfTqkN0Jx8YcR2m3v5LdE6hUuS4iGg',
  '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7',
  '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW',
  '$1$saltsalt$2vnaRpHa6Jxjz5n83ok8Z0',
] as const;

for (const hash of HASHES) {
  test(`a hash ${hash.slice(0, 4)}… is shown nowhere, whatever holds it`, (t) => {
    t.is(shownSetting('zone', hash), HIDDEN);
    t.is(shownSetting('users', `root:${hash}:19000`), `root:${HIDDEN}:19000`);
    t.is(shownLine(`edit -- usermod -p '${hash}' root`), `edit -- usermod -p '${HIDDEN}' root`);
    const linux = { kind: 'linux', label: 'a', title: 'A', kernel: 'k', initrds: [], args: '' } as const;
    t.is(shownBoot({ ...linux, args: `quiet ks.pw=${hash} x` }).args, `quiet ks.pw=${HIDDEN} x`);
  });
}

const names: readonly (readonly [string, boolean])[] = [
  ['rootpw', true],
  ['root-password', true],
  ['root_password', true],
  ['ROOT_PASSWORD', true],
  ['passwd/root-password-crypted', true],
  ['api_token', true],
  ['luks.passphrase', true],
  ['client-secret', true],
  ['profile', false],
  ['provmethod', false],
  ['bypass', false],
  ['passage', false],
  ['rootPass', true],
  ['bmcsecret', true],
  ['secretkey', true],
  ['pwhash', true],
  ['apiToken', true],
  ['compassPoint', false],
  ['mirror', false],
];
for (const [name, isHidden] of names) {
  test(`the value of ${name} is ${isHidden ? 'hidden' : 'shown'}`, (t) => {
    t.is(shownSetting(name, 'abc$1'), isHidden ? HIDDEN : 'abc$1');
    const plain = name.replace('passwd/', '');
    t.is(shownLine(`set a=b ${plain}=abc c=d`), `set a=b ${plain}=${isHidden ? HIDDEN : 'abc'} c=d`);
  });
}

test('what has dollar signs and is no hash is shown', (t) => {
  for (const value of ['$5 and $6', '$releasever/$basearch', 'a$6$b', '${6}$x', '/p$1$2'])
    t.is(shownSetting('mirror', value), value);
});

const lines: readonly (readonly [line: string, shown: string])[] = [
  ['inst.password=hunter2 quiet', `inst.password=${HIDDEN} quiet`],
  ['set addkcmdline=inst.password=hunter2', `set addkcmdline=inst.password=${HIDDEN}`],
  ['inst.rootpw="my secret words" quiet', `inst.rootpw=${HIDDEN} quiet`],
  ["rootpw='my secret words", `rootpw=${HIDDEN}`],
  ['set "rootpw=my secret words" quiet', `set "rootpw=${HIDDEN}" quiet`],
  ['systemd.setenv=ROOT_PASSWORD=x y', `systemd.setenv=ROOT_PASSWORD=${HIDDEN} y`],
  ['inst.ks=http://h/x?a=b&token=abc', `inst.ks=http://h/x?a=b&token=${HIDDEN}`],
  ['rootpw= quiet', `rootpw=${HIDDEN} quiet`],
  ['inst.repo=http://bob:hunter2@srv/x', `inst.repo=http://bob:${HIDDEN}@srv/x`],
  ['netroot=iscsi:user:pass@10.0.0.1::3260', `netroot=iscsi:${HIDDEN}@10.0.0.1::3260`],
  ['edit -- useradd --password hunter2 bob', `edit -- useradd --password ${HIDDEN} bob`],
  ['edit -- x --password --quiet', 'edit -- x --password --quiet'],
  ['a=b==c = d=', 'a=b==c = d='],
  ['http://server:8080/a@b', 'http://server:8080/a@b'],
];
for (const [line, shown] of lines) test(`${line} is shown as ${shown}`, (t) => t.is(shownLine(line), shown));

test('what a setting holds is looked at as a line is', (t) => {
  t.is(shownSetting('addkcmdline', 'inst.password=hunter2 quiet'), `inst.password=${HIDDEN} quiet`);
});

for (const part of ['a', '_', 'pw', 'pw.', '=', 'a=', '$1,', '--a ', '://', 'iscsi:', '-', ' '])
  test(`a line of half a million characters of ${JSON.stringify(part)} is soon shown`, (t) => {
    t.timeout(60_000);
    const line = part.repeat(500_000 / part.length);
    t.is(shownLine(`${line}=1 x`).length > 0, true);
  });
