import test from 'ava';
import fc from 'fast-check';
import { TftpError } from '../../../src/pxe/tftp/errors.js';
import { MAX_REQUEST, type TftpPacket, decodeTftp, encodeTftp } from '../../../src/pxe/tftp/packet.js';

/** `text` as bytes, with `.` for NUL. */
function dotted(opcode: string, text: string): Buffer {
  return Buffer.concat([Buffer.from(opcode, 'hex'), Buffer.from(text.replaceAll('|', '\0'), 'latin1')]);
}

const read: readonly [name: string, bytes: Buffer, packet: TftpPacket][] = [
  [
    'a bare request',
    dotted('0001', 'a|octet|'),
    { kind: 'rrq', filename: 'a', mode: 'octet', options: new Map() },
  ],
  [
    'OVMF’s request',
    dotted('0001', 'snponly.efi|octet|tsize|0|blksize|1468|windowsize|4|'),
    {
      kind: 'rrq',
      filename: 'snponly.efi',
      mode: 'octet',
      options: new Map([
        ['tsize', '0'],
        ['blksize', '1468'],
        ['windowsize', '4'],
      ]),
    },
  ],
  [
    'upper case names and modes',
    dotted('0001', 'A|NetASCII|BLKSIZE|1408|TSize|0|'),
    {
      kind: 'rrq',
      filename: 'A',
      mode: 'netascii',
      options: new Map([
        ['blksize', '1408'],
        ['tsize', '0'],
      ]),
    },
  ],
  [
    'a name that occurs twice: the first counts',
    dotted('0001', 'a|octet|blksize|8|blksize|9|'),
    { kind: 'rrq', filename: 'a', mode: 'octet', options: new Map([['blksize', '8']]) },
  ],
  [
    'an empty file name',
    dotted('0001', '|octet|'),
    { kind: 'rrq', filename: '', mode: 'octet', options: new Map() },
  ],
  ['a write', dotted('0002', 'a|octet|'), { kind: 'wrq', filename: 'a', mode: 'octet', options: new Map() }],
  ['data', Buffer.from('0003ffff6162', 'hex'), { kind: 'data', block: 65535, data: Buffer.from('ab') }],
  ['an empty last block', Buffer.from('00030001', 'hex'), { kind: 'data', block: 1, data: Buffer.alloc(0) }],
  ['an acknowledgement', Buffer.from('00040000', 'hex'), { kind: 'ack', block: 0 }],
  ['an acknowledgement with bytes after it', Buffer.from('0004000100', 'hex'), { kind: 'ack', block: 1 }],
  ['an error', dotted('00050008', 'User aborted|'), { kind: 'error', code: 8, message: 'User aborted' }],
  ['an error without a final NUL', dotted('00050001', 'gone'), { kind: 'error', code: 1, message: 'gone' }],
  [
    'an error with control characters',
    dotted('00050000', 'a\n\x1b|b'),
    { kind: 'error', code: 0, message: 'a??' },
  ],
  ['an error of no text', Buffer.from('00050000', 'hex'), { kind: 'error', code: 0, message: '' }],
  [
    'an option acknowledgement',
    dotted('0006', 'blksize|8|'),
    { kind: 'oack', options: new Map([['blksize', '8']]) },
  ],
];
for (const [name, bytes, packet] of read) {
  test(`${name} is read`, (t) => t.deepEqual(decodeTftp(bytes), packet));
}

const refused: readonly [name: string, bytes: Buffer, code: TftpError['code']][] = [
  ['nothing', Buffer.alloc(0), 'TRUNCATED'],
  ['one byte', Buffer.of(0), 'TRUNCATED'],
  ['a short acknowledgement', Buffer.from('000400', 'hex'), 'TRUNCATED'],
  ['a short error', Buffer.from('0005', 'hex'), 'TRUNCATED'],
  ['opcode 0', Buffer.from('00000000', 'hex'), 'BAD_OPCODE'],
  ['opcode 7', Buffer.from('00070000', 'hex'), 'BAD_OPCODE'],
  ['a request of nothing', Buffer.from('0001', 'hex'), 'BAD_STRING'],
  ['a request without a mode', dotted('0001', 'a|'), 'BAD_STRING'],
  ['a request without its last NUL', dotted('0001', 'a|octet'), 'BAD_STRING'],
  ['mail', dotted('0001', 'a|mail|'), 'BAD_MODE'],
  ['an option without its value', dotted('0001', 'a|octet|tsize|'), 'BAD_OPTION'],
  [
    '33 options',
    dotted('0001', `a|octet|${Array.from({ length: 33 }, (_, at) => `o${at}|1|`).join('')}`),
    'BAD_OPTION',
  ],
  ['a huge option', dotted('0001', `a|octet|${'x'.repeat(MAX_REQUEST)}|1|`), 'TOO_LONG'],
];
for (const [name, bytes, code] of refused) {
  test(`${name} is refused`, (t) =>
    t.is(t.throws(() => decodeTftp(bytes), { instanceOf: TftpError })?.code, code));
}

test('a string with NUL cannot be written', (t) => {
  const packet: TftpPacket = { kind: 'rrq', filename: 'a\0b', mode: 'octet', options: new Map() };
  t.is(t.throws(() => encodeTftp(packet), { instanceOf: TftpError })?.code, 'BAD_STRING');
});

const block = fc.integer({ min: 0, max: 65535 });
const text = fc
  .uint8Array({ maxLength: 60 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)).toString('latin1'));
const ascii = fc.stringMatching(/^[ -~]{0,100}$/);
const options = fc
  .array(
    fc.tuple(
      text.map((name) => name.toLowerCase()).filter((name) => !/[^\x01-\xff]/.test(name)),
      text,
    ),
    { maxLength: 8 },
  )
  .map((entries) => new Map(entries));
const mode = fc.constantFrom('octet' as const, 'netascii' as const);
const packets: fc.Arbitrary<TftpPacket> = fc.oneof(
  fc.record({ kind: fc.constantFrom('rrq' as const, 'wrq' as const), filename: text, mode, options }),
  fc.record({
    kind: fc.constant('data' as const),
    block,
    data: fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
  }),
  fc.record({ kind: fc.constant('ack' as const), block }),
  fc.record({ kind: fc.constant('error' as const), code: block, message: ascii }),
  fc.record({ kind: fc.constant('oack' as const), options }),
);

test('every packet is read back as it was written', (t) => {
  fc.assert(
    fc.property(packets, (packet) => void t.deepEqual(decodeTftp(encodeTftp(packet)), packet)),
    { numRuns: 1000 },
  );
});

test('whatever the bytes, they are a packet or a TftpError', (t) => {
  const anything = fc
    .tuple(fc.integer({ min: 0, max: 8 }), fc.uint8Array({ maxLength: 1600 }))
    .map(([opcode, bytes]) => Buffer.concat([Buffer.of(0, opcode), bytes]));
  const readable = (bytes: Buffer): boolean => {
    try {
      decodeTftp(bytes);
      return true;
    } catch (error) {
      return error instanceof TftpError;
    }
  };
  fc.assert(fc.property(anything, readable), { numRuns: 5000 });
  t.pass();
});
