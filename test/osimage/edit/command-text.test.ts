import { execFileSync } from 'node:child_process';
import test from 'ava';
import fc from 'fast-check';
import { commandText } from '../../../src/osimage/edit/command-text.js';

for (const [words, text] of [
  [['ls', '-l', '/etc'], 'ls -l /etc'],
  [['sh', '-c', 'echo hi > /etc/motd'], "sh -c 'echo hi > /etc/motd'"],
  [['echo', "it's"], "echo 'it'\\''s'"],
  [['echo', ''], "echo ''"],
  [['echo', 'a\nb'], "echo $'a\\nb'"],
] as const) {
  test(`${JSON.stringify(words)} is noted as ${text}`, (t) => t.is(commandText(words), text));
}

test('a long command is cut', (t) => {
  const text = commandText(['echo', 'x'.repeat(5000)]);
  t.is(text.length, 500);
  t.true(text.endsWith('…'));
});

test('bash reads the words back, and the text is one line', (t) => {
  const word = fc.string({ unit: 'grapheme-ascii', maxLength: 12 });
  const anyWord = fc.oneof(word, fc.constantFrom('a\nb', '\t', "'", '\\', '$x', '\x01\x1f\x7f', 'é'));
  fc.assert(
    fc.property(fc.array(anyWord, { minLength: 1, maxLength: 6 }), (words) => {
      const text = commandText(words);
      t.notRegex(text, /\n/);
      const read = execFileSync('bash', ['-c', `printf '%s\\0' ${text}`], { encoding: 'utf8' });
      t.is(read, words.map((one) => `${one}\0`).join(''));
    }),
    { numRuns: 40 },
  );
});
