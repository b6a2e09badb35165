import test from 'ava';
import fc from 'fast-check';
import { type OptionRoom, layOutOptions, sizeOf } from '../../../src/pxe/dhcp/layout.js';
import { type DhcpOption, decodeDhcp, encodeDhcp, fitsDhcp } from '../../../src/pxe/dhcp/packet.js';
import { clientMessage } from './messages.js';

const of = (code: number, length: number): DhcpOption => ({ code, data: Buffer.alloc(length, code) });
const room: OptionRoom = { main: 60, file: 128, sname: 64 };

const tables: readonly [name: string, options: readonly DhcpOption[], room: OptionRoom, layout: string][] = [
  ['all that fits stays together', [of(53, 1), of(12, 54)], room, '53 12'],
  ['what does not fit goes into file', [of(53, 1), of(12, 40), of(15, 30), of(3, 4)], room, '53 12 3 | 15'],
  ['then into sname', [of(53, 1), of(67, 125), of(15, 55)], room, '53 | 67 | 15'],
  ['a field that is taken is left alone', [of(53, 1), of(15, 60)], { ...room, file: 0 }, '53 |  | 15'],
  [
    'steering options stay in front, relay information behind',
    [of(53, 1), of(12, 30), of(54, 4), of(15, 50), of(82, 10)],
    room,
    '53 12 54 82 | 15',
  ],
  [
    'an option that is split stays whole',
    [of(53, 1), of(6, 300), of(15, 60)],
    { ...room, main: 400 },
    '53 6 15',
  ],
  [
    'a split option does not leave the options field',
    [of(53, 1), of(6, 300), of(15, 60)],
    { ...room, main: 360 },
    '53 6 | 15',
  ],
  ['too much is too much', [of(53, 1), of(15, 200)], room, 'no'],
  ['nowhere to go', [of(53, 1), of(15, 60)], { main: 60, file: 0, sname: 0 }, 'no'],
  ['not even the steering options', [of(53, 1), of(82, 70)], room, 'no'],
];
for (const [name, options, where, expected] of tables) {
  test(name, (t) => {
    const layout = layOutOptions(options, where);
    const codes = (list: readonly DhcpOption[]): string => list.map(({ code }) => code).join(' ');
    t.is(
      layout === undefined
        ? 'no'
        : [layout.main, layout.file, layout.sname]
            .map(codes)
            .join(' | ')
            .replace(/[ |]+$/, ''),
      expected,
    );
  });
}

const options = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 254 }), fc.integer({ min: 0, max: 120 })), {
    selector: ([code]) => code,
    maxLength: 12,
  })
  .map((list) => list.filter(([code]) => code !== 52).map(([code, length]) => of(code, length)));

test('whatever fits is within its size, and every client that reads overloaded fields reads all of it', (t) => {
  fc.assert(
    fc.property(options, fc.integer({ min: 300, max: 700 }), fc.boolean(), (list, most, hasFile) => {
      const packet = clientMessage(list, { file: hasFile ? 'undionly.kpxe' : '' });
      if (!fitsDhcp(packet, most)) return sizeOf(list) + 241 > most;
      const bytes = encodeDhcp(packet, most);
      const read = decodeDhcp(bytes);
      const byCode = (all: readonly DhcpOption[]): readonly DhcpOption[] =>
        all.toSorted((one, other) => one.code - other.code);
      t.deepEqual(byCode(read.options), byCode(list));
      return bytes.length <= Math.max(most, 300) && read.file === packet.file;
    }),
  );
});
