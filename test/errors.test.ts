import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../src/site/assets.js';

const root = packageRoot();
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ name, text: withoutLineComments(readFileSync(join(root, 'src', name), 'utf8')) }));

function withoutLineComments(text: string): string {
  return text.replaceAll(/\s\/\/ .*$/gm, '');
}

/** The codes of every error class in src, from its type argument: a union of its own, or the codes themselves. */
function declaredCodes(): Map<string, string[]> {
  const unions = new Map<string, string[]>();
  for (const { text } of sources) {
    for (const [, name = '', union = ''] of text.matchAll(/^export type (\w+ErrorCode) =([^;]+);/gm)) {
      unions.set(name, quoted(union));
    }
  }
  const classes = new Map<string, string[]>();
  for (const { text } of sources) {
    for (const [, name = '', codes = ''] of text.matchAll(
      /^(?:export )?class (\w+) extends RackbootError<([^>]+)>/gm,
    )) {
      classes.set(name, unions.get(codes) ?? quoted(codes));
    }
  }
  return classes;
}

/** The words in single quotes. */
function quoted(text: string): string[] {
  return [...text.matchAll(/'(\w+)'/g)].map(([, word = '']) => word);
}

/** The codes of every section of docs/errors.md, by the class that its heading names. */
function documentedCodes(): Map<string, string[]> {
  const text = readFileSync(join(root, 'docs', 'errors.md'), 'utf8');
  const sections = text.split(/^## /m).slice(1);
  return new Map(
    sections.map((section) => [
      /^\w+/.exec(section)?.[0] ?? '',
      [...section.matchAll(/^\| `(\w+)`/gm)].map(([, code = '']) => code),
    ]),
  );
}

const declared = declaredCodes();
const documented = documentedCodes();

test('the sources hold the error classes that this test is about', (t) => {
  t.true(declared.size >= 12, [...declared.keys()].join(' '));
  for (const [name, codes] of declared) t.true(codes.length > 0, name);
});

test('docs/errors.md has a section for every error class, and for no other', (t) => {
  t.deepEqual([...documented.keys()].sort(), [...declared.keys()].sort());
});

for (const [name, codes] of declared) {
  test(`docs/errors.md explains every code of ${name}, and no other`, (t) => {
    t.deepEqual([...(documented.get(name) ?? [])].sort(), [...codes].sort());
  });

  test(`every code of ${name} is used`, (t) => {
    const uses = sources
      .map(({ text }) => text.replaceAll(/^export type \w+ErrorCode =[^;]+;/gm, ''))
      .filter((text) => text.includes(name) || text.includes(`${name}Code`));
    const unused = codes.filter((code) => !uses.some((text) => text.includes(`'${code}'`)));
    t.deepEqual(unused, []);
  });
}

test('no row of docs/errors.md only says its code again', (t) => {
  const text = readFileSync(join(root, 'docs', 'errors.md'), 'utf8');
  for (const [, code = '', meaning = ''] of text.matchAll(/^\| `(\w+)`\s*\| (.*?)\s*\|$/gm)) {
    t.not(meaning.toLowerCase().replaceAll(/\W+/g, '_'), code.toLowerCase());
  }
});
