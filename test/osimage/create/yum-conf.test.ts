import test from 'ava';
import fc from 'fast-check';
import { parseYumConf, withMainOptions } from '../../../src/osimage/create/yum-conf.js';

const table: readonly (readonly [string, string, Readonly<Record<string, string>>, string])[] = [
  ['an option is added', '[main]\ngpgcheck=1\n', { retries: '3' }, '[main]\nretries=3\ngpgcheck=1\n'],
  [
    'one that is there is replaced, spaces or not',
    '[main]\ncachedir = /a\nplugins=1\n',
    { cachedir: '/b' },
    '[main]\ncachedir=/b\nplugins=1\n',
  ],
  [
    'with the lines that continue it',
    '[main]\nexclude=a\n b\n\tc\nplugins=1\n',
    { exclude: 'x' },
    '[main]\nexclude=x\nplugins=1\n',
  ],
  ['in [main] only', '[main]\na=1\n[repo]\na=1\n b\n', { a: '2' }, '[main]\na=2\n[repo]\na=1\n b\n'],
  ['comments stay', '# a=1\n[main]\n#a=1\n;a=2\n', { a: '3' }, '# a=1\n[main]\na=3\n#a=1\n;a=2\n'],
  ['without [main]', 'a=1\n[repo]\nb=1\n', { c: '1' }, '[main]\nc=1\na=1\n[repo]\nb=1\n'],
  ['a longer name is another', '[main]\nplugins_x=1\n', { plugins: '0' }, '[main]\nplugins=0\nplugins_x=1\n'],
];

for (const [what, text, options, expected] of table)
  test(what, (t) => {
    t.is(withMainOptions(text, options), expected);
  });

test('the same options a second time change nothing', (t) => {
  const line = fc.constantFrom(
    '[main]',
    '[repo]',
    'a=1',
    'b = 2',
    'a=1\n continued',
    '# a=1',
    '',
    'plugins=1',
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
      const options = { a: '9', plugins: '0' };
      const once = withMainOptions(lines.join('\n'), options);
      return withMainOptions(once, options) === once;
    }),
  );
  t.pass();
});

test('what dnf would not take, or take for nothing, is named by file and line', (t) => {
  const parse = (text: string) => parseYumConf({ where: 'configs/8.3/yum.conf.tmpl', text });
  const taken = parse(
    'a=1\n[main]\n# x\n;y\n\nplugins = 1\nexclude=a\n b\n\tc\n[base]\nbaseurl=http://x/?a=b\n',
  );
  t.deepEqual([...taken.keys()], ['main', 'base']);
  t.deepEqual([...(taken.get('main') ?? [])], ['plugins', 'exclude']);
  t.deepEqual([...(taken.get('base') ?? [])], ['baseurl']);
  t.is(parse('# nothing\n').size, 0);
  for (const [text, line] of [
    ['garbage', 1],
    ['[main]\n\ncachedir\n', 3],
    ['[main]\n continued by nothing\n', 2],
    ['[main\na=1\n', 1],
    ['[main]\n=1\n', 2],
  ] as const) {
    const error = t.throws(() => parse(text), { code: 'BAD_LAYER' });
    t.true(error?.message.startsWith(`configs/8.3/yum.conf.tmpl:${line}: `), error?.message);
  }
});
