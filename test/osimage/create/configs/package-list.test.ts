import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import test from 'ava';
import { codeOf } from '../../../../src/errors.js';
import { parsePackageList } from '../../../../src/osimage/create/configs/package-list.js';

const TABLE: readonly (readonly [title: string, text: string, words: readonly string[]])[] = [
  ['words on lines', 'a b\n\tc\n', ['a', 'b', 'c']],
  ['a comment anywhere', 'a#b\n#c\nd # e\n', ['a', 'd']],
  ['quotes join', `a'b c'"d e"\n`, ['ab cd e']],
  ['a backslash protects', 'a\\ b c\\"\n', ['a b', 'c"']],
  ['a word twice counts once', 'a b\na\n', ['a', 'b']],
  ['no end of the last line', 'a', ['a']],
  ['line ends of another system', 'a\r\nb\r\n', ['a', 'b']],
];

for (const [title, text, words] of TABLE) {
  test(`package list: ${title}`, (t) => {
    t.deepEqual(parsePackageList(text, 'packages.lst'), words);
  });
}

test('a line means what it means to xargs', (t) => {
  const letter = fc.constantFrom('a', 'b', '+', ' ', '\t', '"', "'", '\\', '-', '*');
  fc.assert(
    fc.property(fc.string({ unit: letter, maxLength: 12 }), (line) => {
      fc.pre(!line.endsWith('\\'));
      // The first word keeps xargs from running with none.
      const text = `first ${line}\n`;
      const { status, stdout } = spawnSync('xargs', ['printf', '%s\\n'], { input: text, encoding: 'utf8' });
      const theirs = status === 0 ? stdout.split('\n').slice(0, -1) : undefined;
      let ours: string[] | undefined;
      try {
        ours = parsePackageList(text, 'l');
      } catch (error) {
        t.is(codeOf(error), 'BAD_LAYER');
        const isOption = theirs?.some((word) => word.startsWith('-')) ?? false;
        if (isOption) return;
      }
      const wanted = theirs === undefined ? undefined : [...new Set(theirs)].filter((word) => word !== '');
      t.deepEqual(ours, wanted, JSON.stringify(text));
    }),
    { numRuns: 150 },
  );
});
