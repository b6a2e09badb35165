import test from 'ava';
import fc from 'fast-check';
import { isStanzaFile, readStanzas, writeStanzas } from '../../../src/node/formats/stanza.js';

test('what lsdef -z prints is read and printed again byte for byte', (t) => {
  const text = `# <xCAT data object stanza file>

imgA:
    objtype=osimage
    addkcmdline=console=ttyS1 quiet
    imagetype=linux

imgB:
    objtype=osimage`;
  const read = readStanzas(text, 'x');
  t.deepEqual(
    read.map(({ name, type, line }) => [name, type, line]),
    [
      ['imgA', 'osimage', 3],
      ['imgB', 'osimage', 8],
    ],
  );
  t.is(read[0]?.attributes.get('addkcmdline'), 'console=ttyS1 quiet');
  t.is(writeStanzas(read), text);
});

test('comments, tabs and empty values are read', (t) => {
  const [node] = readStanzas('# c\nn1:\n\tobjtype=node\n    # in between\n\n\tip=\n', 'x');
  t.deepEqual([...(node?.attributes ?? [])], [['ip', '']]);
});

for (const [text, message] of [
  ['n1:\n    objtype=node\nip=1', /^x line 3: .* is neither 'name:' nor/],
  ['    ip=1', /^x line 1/],
  ['n1:\n    ip=1', /^x line 1: n1 has no objtype/],
] as const) {
  test(`refuses ${JSON.stringify(text)}`, (t) => {
    t.throws(() => readStanzas(text, 'x'), { name: 'NodeError', message });
  });
}

for (const [text, expected] of [
  ['# <xCAT data object stanza file>\n', true],
  ['\nn1:\n  objtype=node', true],
  ['#node,ip\n', false],
  ['node,mac\n', false],
] as const) {
  test(`${JSON.stringify(text)} is ${expected ? 'a' : 'no'} stanza file`, (t) => {
    t.is(isStanzaFile(text), expected);
  });
}

test('objects are read back as they were written', (t) => {
  const word = fc.stringMatching(/^[a-z][a-z0-9._-]{0,8}$/);
  const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
  const object = fc.record({
    name: word,
    type: fc.constantFrom('node', 'osimage'),
    attributes: fc
      .dictionary(
        word.filter((key) => key !== 'objtype'),
        value,
      )
      .map((each) => new Map(Object.entries(each))),
  });
  fc.assert(
    fc.property(fc.array(object, { maxLength: 5 }), (objects) => {
      const back = readStanzas(writeStanzas(objects), 'x').map(({ line: _line, ...rest }) => rest);
      t.deepEqual(
        back.map(({ attributes, ...rest }) => ({ ...rest, attributes: Object.fromEntries(attributes) })),
        objects.map(({ attributes, ...rest }) => ({ ...rest, attributes: Object.fromEntries(attributes) })),
      );
    }),
  );
});
