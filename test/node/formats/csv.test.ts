import test from 'ava';
import fc from 'fast-check';
import { readCsv } from '../../../src/node/formats/csv.js';

const rows: readonly (readonly [string, readonly (readonly string[])[]])[] = [
  ['', []],
  [
    'a,b\n1,2\n',
    [
      ['a', 'b'],
      ['1', '2'],
    ],
  ],
  [
    'a,b\r\n1,2',
    [
      ['a', 'b'],
      ['1', '2'],
    ],
  ],
  ['"a","b,c",,"d""e"\n', [['a', 'b,c', '', 'd"e']]],
  ['\n\na\n', [['a']]],
  [
    '"two\nlines",x\ny,z',
    [
      ['two\nlines', 'x'],
      ['y', 'z'],
    ],
  ],
  [',\n', [['', '']]],
];
for (const [text, fields] of rows) {
  test(`reads ${JSON.stringify(text)}`, (t) => {
    t.deepEqual(
      readCsv(text, 'x.csv').map((row) => row.fields),
      fields,
    );
  });
}

test('a row says the line it begins on', (t) => {
  t.deepEqual(
    readCsv('"a\nb"\n\nc\n', 'x').map(({ line }) => line),
    [1, 4],
  );
});

for (const [text, message] of [
  ['a\n"b', /^x\.csv line 2: a double quote is not closed/],
  ['"a"b', /^x\.csv line 1: text after a closing quote/],
] as const) {
  test(`refuses ${JSON.stringify(text)}`, (t) => {
    t.throws(() => readCsv(text, 'x.csv'), { name: 'NodeError', message });
  });
}

test('what is written by RFC 4180 is read back', (t) => {
  const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', ' ', 'é', ';') });
  const table = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 6 });
  fc.assert(
    fc.property(table, (fields) => {
      const text = fields
        .map((row) => row.map((item) => `"${item.replaceAll('"', '""')}"`).join(',') + '\r\n')
        .join('');
      t.deepEqual(
        readCsv(text, 'x').map((row) => row.fields),
        fields,
      );
    }),
  );
});
