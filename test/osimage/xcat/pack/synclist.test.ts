import test from 'ava';
import fc from 'fast-check';
import { parseSynclist } from '../../../../src/osimage/xcat/pack/synclist.js';
import { OsimageError } from '../../../../src/osimage/errors.js';

test('every section and every form of a line', (t) => {
  const text = `# comment
/etc/common_hosts -> /etc/hosts   # and one behind
/a/one /a/two -> /b
/home/mikev/* -> /home/mikev/
/etc/hosts -> (node[1-4],group1) /etc/hosts
EXECUTE:
/a/one.post
EXECUTEALWAYS:
/a/always
APPEND:
/a/more -> /etc/setup
MERGE:
/a/passwd -> /etc/passwd
/a/shadow -> /etc/shadow
/a/group -> /etc/group
`;
  t.deepEqual(parseSynclist(text, '/s'), {
    copies: [
      { sources: ['/etc/common_hosts'], target: '/etc/hosts', line: '/s:2' },
      { sources: ['/a/one', '/a/two'], target: '/b', line: '/s:3' },
      { sources: ['/home/mikev/*'], target: '/home/mikev/', line: '/s:4' },
    ],
    appends: [{ source: '/a/more', target: '/etc/setup', line: '/s:11' }],
    merges: [
      { source: '/a/passwd', target: '/etc/passwd', line: '/s:13' },
      { source: '/a/shadow', target: '/etc/shadow', line: '/s:14' },
      { source: '/a/group', target: '/etc/group', line: '/s:15' },
    ],
    scripts: ['/a/one.post', '/a/always'],
    forSomeNodes: ['/s:5'],
  });
});

for (const [what, text, said] of [
  ['a section that there is not', 'DELETE:\n/etc/x', /^\/s:1: DELETE: is no section/],
  ['no arrow', '/a /b', /^\/s:1: write it as/],
  ['two arrows', '/a -> /b -> /c', /^\/s:1: write it as/],
  ['two targets', '/a -> /b /c', /^\/s:1: write it as/],
  ['a relative source', 'a -> /b', /^\/s:1: a: paths begin with/],
  ['a relative target', '/a -> b', /^\/s:1: b: paths begin with/],
  ['a target outside', '/a -> /b/../../c', /^\/s:1: \/b\/\.\.\/\.\.\/c: paths begin/],
  ['a relative script', 'EXECUTE:\nx.post', /^\/s:2: x\.post: paths begin/],
  ['two files to append', 'APPEND:\n/a /b -> /c', /^\/s:2: APPEND: takes one file/],
  ['a merge into another file', 'MERGE:\n/a -> /etc/hosts', /^\/s:2: \/etc\/hosts: MERGE: takes/],
  ['appending to what is copied', '/a -> /c\nAPPEND:\n/b -> /c', /^\/s:3: \/c is copied by this list/],
  ['appending to what is merged', 'MERGE:\n/a -> /etc/group\nAPPEND:\n/b -> /etc/group', /^\/s:4: .*MERGE:/],
] as const) {
  test(`refused with its line: ${what}`, (t) => {
    const error = t.throws(() => parseSynclist(text, '/s'), { instanceOf: OsimageError });
    t.is(error?.code, 'BAD_SYNCLIST');
    t.regex(error?.message ?? '', said);
    t.false(error?.message.includes('\n'));
  });
}

test('whatever is written there, it is read or refused as a synclist', (t) => {
  const word = fc.constantFrom(
    '/a',
    '/b*',
    'x',
    '->',
    '(n1)',
    'APPEND:',
    'MERGE:',
    'EXECUTE:',
    'WHAT:',
    '#',
    '',
  );
  const lines = fc.array(
    fc.array(word, { maxLength: 5 }).map((words) => words.join(' ')),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(lines, (all) => {
      try {
        const { copies, appends, merges } = parseSynclist(all.join('\n'), '/s');
        return [...copies, ...appends, ...merges].every(({ target }) => target.startsWith('/'));
      } catch (error) {
        return error instanceof OsimageError && error.code === 'BAD_SYNCLIST';
      }
    }),
  );
  t.pass();
});
