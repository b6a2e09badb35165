import test from 'ava';
import fc from 'fast-check';
import { mergeAccounts, requireHash, withRootHash } from '../../../../src/osimage/xcat/pack/accounts.js';
import { OsimageError } from '../../../../src/osimage/errors.js';

const passwd = (text: string, standing: string): string =>
  mergeAccounts(standing, { target: '/etc/passwd', where: '/m', text });

const line = (name: string, shell = '/bin/sh'): string => `${name}:x:1:1::/:${shell}\n`;

test('a name that is there is replaced where it stands, others follow, none is left twice', (t) => {
  const standing = line('root') + line('ops') + line('ops', '/old') + '# kept\n' + line('daemon');
  t.is(
    passwd(`# a comment\n\n${line('new')}${line('ops', '/bin/zsh')}`, standing),
    line('root') + line('ops', '/bin/zsh') + '# kept\n' + line('daemon') + line('new'),
  );
});

test('a file that does not end in a newline, an empty one, and none to merge', (t) => {
  t.is(passwd(line('b'), line('a').trimEnd()), line('a') + line('b'));
  t.is(passwd(line('b'), ''), line('b'));
  t.is(passwd('', line('a')), line('a'));
});

test('of a name given twice the last line counts', (t) => {
  t.is(passwd(line('a', '/1') + line('a', '/2'), ''), line('a', '/2'));
});

for (const [target, text] of [
  ['/etc/passwd', 'ops:x:1:1::/'],
  ['/etc/shadow', 'ops:secret:1'],
  ['/etc/group', 'ops:x'],
  ['/etc/group', ':x:1:'],
  ['/etc/group', '+ops:x:1:'],
  ['/etc/group', 'ops\r:x:1:'],
] as const) {
  test(`not a line of ${target}: ${JSON.stringify(text)}`, (t) => {
    const error = t.throws(() => mergeAccounts('', { target, where: '/m', text: `\n${text}\n` }), {
      instanceOf: OsimageError,
    });
    t.is(error?.code, 'BAD_SYNCLIST');
    t.true(error?.message.startsWith('/m:2: '));
    t.false(error?.message.includes('secret'));
  });
}

const name = fc.stringMatching(/^[a-z_][a-z0-9_-]{0,5}$/);
const group = fc
  .array(fc.tuple(name, fc.nat(9)), { maxLength: 8 })
  .map((all) => all.map(([who, id]) => `${who}:x:${id}:\n`).join(''));

test('every name of both is there once, and merging again changes nothing', (t) => {
  fc.assert(
    fc.property(group, group, (standing, text) => {
      const merge = (into: string): string =>
        mergeAccounts(into, { target: '/etc/group', where: '/m', text });
      const namesOf = (all: string): string[] => [...all.matchAll(/^([^:]+):/gm)].map(([, who]) => who!);
      const merged = merge(standing);
      const wanted = new Set([...namesOf(standing), ...namesOf(text)]);
      return (
        new Set(namesOf(merged)).size === namesOf(merged).length &&
        namesOf(merged).every((who) => wanted.has(who)) &&
        namesOf(merged).length === wanted.size &&
        merge(merged) === merged
      );
    }),
  );
  t.pass();
});

test('root’s hash is in the first line, and nobody else’s changes', (t) => {
  t.is(
    withRootHash('daemon:*:1:0:9:7:::\nroot:old:1:0:9:7:::\n', '$6$salt$hash'),
    'root:$6$salt$hash:13880:0:99999:7:::\ndaemon:*:1:0:9:7:::\n',
  );
  t.is(withRootHash('', '*'), 'root:*:13880:0:99999:7:::\n');
});

test('hashes are taken, passwords are not, and what was read is not shown', (t) => {
  for (const hash of [
    '*',
    '!',
    '!!',
    '$6$abcdefgh$0123456789abcdef',
    '$y$j9T$abc$0123456789',
    '$2b$12$abcdefghij',
  ])
    t.is(requireHash(`${hash}\n`, '/h'), hash);
  for (const wrong of [
    '',
    'cluster',
    'a:b',
    '$6$a:b$cdefgh',
    '$6$abcdefgh$0123456789\nmore',
    'hunter2hunter2',
  ]) {
    const error = t.throws(() => requireHash(wrong, '/h'), { instanceOf: OsimageError });
    t.is(error?.code, 'BAD_SETTING');
    if (wrong !== '') t.false(error?.message.includes(wrong));
  }
});
