import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { findPattern } from '../../src/image/find-pattern.js';
import { inDirectory, output } from './programs.js';

const rows: readonly (readonly [string, string, boolean])[] = [
  ['./usr/share/doc*', './usr/share/doc', true],
  ['./usr/share/doc*', './usr/share/doc/a/b', true],
  ['./usr/share/doc', './usr/share/doc/a', false],
  ['./usr/share/doc/', './usr/share/doc', false],
  ['./*.gz', './a/.b/c.gz', true],
  ['*', '.', true],
  ['.?a', './a', true],
  ['./[a-c]x', './bx', true],
  ['./[!a-c]x', './bx', false],
  ['./[^a-c]x', './dx', true],
  ['./[]a]', './]', true],
  ['./[a-]', './-', true],
  ['./[[:digit:][:upper:]]', './7', true],
  ['./[[:digit:][:upper:]]', './Q', true],
  ['./[[:nothing:]]', './n', false],
  ['./[[.a.]-c]', './b', true],
  ['./[[=a=]]', './a', true],
  ['./[a', './[a', true],
  ['./\\*', './*', true],
  ['./\\*', './a', false],
  ['./[\\]]', './]', true],
  ['./a\\', './a\\', false],
  ['./a**b*', './a/b', true],
  ['', '', true],
  ['*aaaaaaaaab', `./${'a'.repeat(4000)}`, false],
];

for (const [pattern, name, expected] of rows) {
  test(`${JSON.stringify(pattern)} ${expected ? 'matches' : 'does not match'} ${name.slice(0, 20)}`, (t) => {
    t.is(findPattern(pattern)(name), expected);
  });
}

const component = fc.stringMatching(/^[ab.\]*^!-]{1,3}$/).filter((name) => name !== '.' && name !== '..');
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('./', 'a', 'b', '/', '.', '*', '?', '-', '\\*', '\\a') },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '[ab]',
      '[!a]',
      '[^b]',
      '[]a]',
      '[!]]',
      '[a-]',
      '[+-.]',
      '[[:alpha:]]',
      '[![:punct:]]',
      '[[.a.]]',
      '[b-a]',
      '[\\]]',
      '[/]',
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('[', ']', '[a', '!') },
);

test('patterns match what GNU find matches', async (t) => {
  await inDirectory(async (dir) => {
    const names = fc.sample(fc.array(component, { minLength: 1, maxLength: 3 }), { seed: 7, numRuns: 120 });
    for (const parts of names) {
      await mkdir(path.join(dir, ...parts.slice(0, -1).map((part) => `${part}d`)), { recursive: true });
      const file = path.join(dir, ...parts.slice(0, -1).map((part) => `${part}d`), parts.at(-1)!);
      await writeFile(file, '', { flag: 'a' }).catch(() => undefined); // a directory of that name
    }
    const all = lines(await output('find', ['.', '-print0'], undefined, dir));
    t.true(all.length > 100);
    let matched = 0;
    const patterns = fc.sample(fc.tuple(fc.boolean(), fc.array(piece, { minLength: 1, maxLength: 6 })), {
      seed: 3,
      numRuns: 300,
    });
    for (const [rooted, pieces] of patterns) {
      const pattern = `${rooted ? './' : ''}${pieces.join('')}`;
      const found = lines(await output('find', ['.', '-path', pattern, '-print0'], undefined, dir));
      const matches = findPattern(pattern);
      t.deepEqual(
        all.filter((name) => matches(name)),
        found,
        JSON.stringify(pattern),
      );
      if (found.length > 0) matched++;
    }
    t.true(matched > 40, `${matched} patterns matched something`);
  });
});

const lines = (bytes: Buffer): string[] => bytes.toString('latin1').split('\0').slice(0, -1).sort();
