import test from 'ava';
import {
  crossedLimit,
  memoryOf,
  shortOfMemory,
  type BootNeed,
  type Followers,
} from '../../src/osimage/size-gate.js';
import type { NodeRecord } from '../../src/store/records.js';

const MIB = 2 ** 20;

for (const [text, bytes] of [
  ['16G', 16 * 2 ** 30],
  ['16 GiB', 16 * 2 ** 30],
  ['16gb', 16 * 2 ** 30],
  ['512', 512 * MIB],
  ['512M', 512 * MIB],
  ['1T', 2 ** 40],
  ['1024k', MIB],
  ['', undefined],
  ['lots', undefined],
  ['-1G', undefined],
  ['1.5G', undefined],
  ['16GG', undefined],
] as const) {
  test(`memory ${JSON.stringify(text)} is ${bytes ?? 'unknown'}`, (t) => {
    t.is(memoryOf({ attributes: { memory: text } }), bytes);
  });
}

const need = (fields: Partial<BootNeed>): BootNeed => ({
  label: 'install',
  compressed: 30 * MIB,
  unpacked: 90 * MIB,
  initrds: 20 * MIB,
  ...fields,
});

const node = (name: string, memory: string): NodeRecord => ({
  name,
  macs: [],
  ip: null,
  uuid: null,
  serial: null,
  groups: [],
  attributes: { memory },
});

const followers = (memory: string, entry: string | null = null): Followers => ({
  assignments: [{ node: 'n1', state: 'osimage', osimage: 'x', generation: null, entry, since: 1 }],
  nodes: new Map([['n1', node('n1', memory)]]),
});

const nobody: Followers = { assignments: [], nodes: new Map() };

const cases: readonly [string, BootNeed[], BootNeed[], Followers, RegExp | undefined][] = [
  ['nothing known', [need({})], [need({})], nobody, undefined],
  ['room enough', [], [need({ room: 20 * MIB })], nobody, undefined],
  [
    'one byte more than the room',
    [],
    [need({ room: 20 * MIB - 1 })],
    nobody,
    /20971520 bytes.*room for 20971519/,
  ],
  [
    'too large, but smaller than before',
    [need({ initrds: 30 * MIB })],
    [need({ room: MIB })],
    nobody,
    undefined,
  ],
  ['too large as before', [need({ room: MIB })], [need({ room: MIB })], nobody, undefined],
  ['memory just enough', [], [need({})], followers('120M'), undefined],
  [
    'memory not enough',
    [],
    [need({})],
    followers('119M'),
    /^n1 has 124780544 bytes.*takes 125829120: 31457280 .* 94371840/,
  ],
  ['memory not enough, and it was not before', [need({})], [need({})], followers('119M'), undefined],
  [
    'memory not enough, and less is asked for',
    [need({ unpacked: 95 * MIB })],
    [need({})],
    followers('119M'),
    undefined,
  ],
  ['memory not enough for more', [need({})], [need({ unpacked: 95 * MIB })], followers('119M'), /n1/],
  ['memory in no known form', [], [need({})], followers('little'), undefined],
  [
    'another entry is too large',
    [],
    [need({}), need({ label: 'rescue', unpacked: 900 * MIB })],
    followers('120M'),
    undefined,
  ],
  [
    'its own entry is too large',
    [],
    [need({}), need({ label: 'rescue', unpacked: 900 * MIB })],
    followers('120M', 'rescue'),
    /rescue/,
  ],
];
for (const [title, before, after, who, expected] of cases) {
  test(title, (t) => {
    const crossed = crossedLimit(before, after, who);
    if (expected === undefined) t.is(crossed, undefined);
    else t.regex(crossed ?? '', expected);
  });
}

test('a node without the attribute is never short of memory', (t) => {
  t.is(shortOfMemory({ name: 'n1', attributes: {} }, need({ unpacked: 2 ** 50 })), undefined);
});
