import test from 'ava';
import { linesOf, withoutComments } from '../../src/image/comments.js';

for (const [text, lines] of [
  ['', []],
  ['# comment\na # comment\n\n b\t#c\r\n', ['a', 'b']],
  ['../hash#2', ['../hash#2']],
  ['a#b #c#d', ['a#b']],
  ['a\xa0#b\xa0', ['a\xa0#b\xa0']],
] as const) {
  test(`the lines of ${JSON.stringify(text)}`, (t) => {
    t.deepEqual(linesOf(text), [...lines]);
  });
}

test('without comments every line is where it was', (t) => {
  t.is(withoutComments('# x\n\na # y\n  b\n\n'), '\n\na\nb');
});
