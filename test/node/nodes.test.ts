import test from 'ava';
import fc from 'fast-check';
import { parseAddress, parseMac, parseName, parseNode, parseUuid } from '../../src/node/nodes.js';

const macs: readonly (readonly [string, string | RegExp])[] = [
  ['52:54:00:AB:cd:Ef', '52:54:00:ab:cd:ef'],
  ['52-54-00-ab-cd-ef', '52:54:00:ab:cd:ef'],
  ['5254.00ab.cdef', '52:54:00:ab:cd:ef'],
  ['525400abcdef', '52:54:00:ab:cd:ef'],
  ['52:54-00:ab:cd:ef', /twelve hexadecimal digits/],
  ['52:54:00:ab:cd', /twelve hexadecimal digits/],
  ['52:54:00:ab:cd:ef:00', /twelve hexadecimal digits/],
  ['52:54:00:ab:cd:eg', /twelve hexadecimal digits/],
  ['', /twelve hexadecimal digits/],
  ['ff:ff:ff:ff:ff:ff', /not the address of one interface/],
  ['01:00:5e:00:00:01', /not the address of one interface/],
  ['00:00:00:00:00:00', /not the address of one interface/],
];
const names: readonly (readonly [string, string | RegExp])[] = [
  ['n1', 'n1'],
  ['N1', 'n1'],
  ['rack1-n04.example.org', 'rack1-n04.example.org'],
  ['100', '100'],
  ['-n1', /RFC 1123/],
  ['n1-', /RFC 1123/],
  ['n_1', /RFC 1123/],
  ['n1..x', /RFC 1123/],
  ['', /RFC 1123/],
  ['../etc', /RFC 1123/],
  ['n1\n', /RFC 1123/],
  ['a'.repeat(64), /RFC 1123/],
];
const addresses: readonly (readonly [string, string | RegExp])[] = [
  ['10.77.0.21', '10.77.0.21'],
  ['10.77.0.256', /one host's IPv4/],
  ['10.77.0.021', /one host's IPv4/],
  ['224.0.0.1', /one host's IPv4/],
  ['255.255.255.255', /one host's IPv4/],
  ['0.0.0.0', /one host's IPv4/],
  ['fe80::1', /one host's IPv4/],
];
const uuids: readonly (readonly [string, string | RegExp])[] = [
  ['4C4C4544-0042-3510-8054-B4C04F4D3132', '4c4c4544-0042-3510-8054-b4c04f4d3132'],
  ['4c4c454400423510 8054b4c04f4d3132', /dmidecode/],
  ['00000000-0000-0000-0000-000000000000', /dmidecode/],
  ['ffffffff-ffff-ffff-ffff-ffffffffffff', /dmidecode/],
];
const tables = [
  ['MAC', parseMac, macs],
  ['name', parseName, names],
  ['address', parseAddress, addresses],
  ['UUID', parseUuid, uuids],
] as const;
for (const [what, parse, rows] of tables) {
  for (const [text, expected] of rows) {
    test(`${what} ${JSON.stringify(text)}`, (t) => {
      if (typeof expected === 'string') t.is(parse(text), expected);
      else
        t.false(
          t.throws(() => parse(text), { message: expected, name: 'NodeError' })?.message.includes('\n'),
        );
    });
  }
}

test('a whole node comes out in one notation', (t) => {
  const node = parseNode({
    name: 'N1',
    macs: ['525400123456', '52:54:00:12:34:56'],
    ip: '10.77.0.11',
    groups: ['rack2', 'all-x', 'rack2'],
    attributes: { console: 'ttyS0,115200' },
  });
  t.deepEqual(node, {
    name: 'n1',
    macs: ['52:54:00:12:34:56'],
    ip: '10.77.0.11',
    uuid: null,
    serial: null,
    groups: ['all-x', 'rack2'],
    attributes: { console: 'ttyS0,115200' },
  });
});

test('a node nobody could recognise is refused', (t) => {
  t.throws(() => parseNode({ name: 'n1', ip: '10.0.0.1' }), {
    message: /nothing to know it by; give .* --mac/,
  });
});

for (const attributes of [
  { 'a b': 'x' },
  { 'a=b': 'x' },
  { '1a': 'x' },
  { '': 'x' },
  { a: 'x'.repeat(4097) },
  { a: 'x\0y' },
]) {
  test(`attribute ${JSON.stringify(attributes).slice(0, 30)} is refused`, (t) => {
    t.throws(() => parseNode({ name: 'n1', serial: 'x', attributes }), {
      name: 'NodeError',
      message: /attribute/,
    });
  });
}

test('what is accepted is accepted again unchanged', (t) => {
  fc.assert(
    fc.property(fc.string({ maxLength: 20 }), (text) => {
      for (const [, parse] of tables) {
        let once: string;
        try {
          once = parse(text);
        } catch (error) {
          if (error instanceof Error && error.name === 'NodeError') continue;
          throw error;
        }
        t.is(parse(once), once);
      }
    }),
  );
});
