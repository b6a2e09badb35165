import fc from 'fast-check';
import test from 'ava';
import { fillTemplate, holdsPlaceholder } from '../../../../src/osimage/create/configs/placeholders.js';
import { PLACEHOLDERS, type PlaceholderValues } from '../../../../src/osimage/create/configs/types.js';

const fill = (text: string, values: PlaceholderValues): string => fillTemplate({ where: 'f', text }, values);

test('every placeholder is filled, as often as it stands on a line, by a value as it is', (t) => {
  const value = 'a,b&c\\1$&/|@';
  for (const name of PLACEHOLDERS)
    t.is(fill(`x@@${name}@@y@@${name}@@\n`, { [name]: value }), `x${value}y${value}\n`);
});

for (const [title, text, message] of [
  ['an unknown name', '\n@@NOPE@@', /^f:2: @@NOPE@@ is no placeholder; there are /],
  ['a name in lower case', 'a=@@srcurl@@', /^f:1: @@srcurl@@ is no placeholder/],
  ['no value', '\n\n@@SRCURL@@', /^f:3: @@SRCURL@@ has no value in this file; give --srcurl/],
  ['several lines', '@@REPOID@@', /^f:1: @@REPOID@@ would be several lines/],
] as const) {
  test(`refused: ${title}`, (t) => {
    t.throws(() => fill(text, { REPOID: 'a\nb' }), { code: 'BAD_LAYER', message });
  });
}

test('what holds no placeholder stays, and what was filled holds none', (t) => {
  const piece = fc.oneof(
    fc.constantFrom(...PLACEHOLDERS.map((name) => `@@${name}@@`)),
    fc.constantFrom('@', '=', '[x]', '\n', 'a b', '$1'),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join(' ');
      const filled = fill(text, Object.fromEntries(PLACEHOLDERS.map((name) => [name, 'v'])));
      t.false(holdsPlaceholder(filled));
      t.is(filled, pieces.map((word) => (word.startsWith('@@') ? 'v' : word)).join(' '));
    }),
  );
});
