import test from 'ava';
import fc from 'fast-check';
import { DhcpError } from '../../../src/pxe/dhcp/errors.js';
import { numberToIpv4 } from '../../../src/pxe/dhcp/ipv4.js';
import {
  BROADCAST_FLAG,
  type DhcpOption,
  type DhcpPacket,
  MAX_MESSAGE,
  decodeDhcp,
  encodeDhcp,
} from '../../../src/pxe/dhcp/packet.js';
import { CAPTURE_NAMES, capture } from './captures.js';
import { clientMessage, hex } from './messages.js';

const COOKIE = '63825363';

/** A message of our making: `sname` and `file` as hexadecimal, padded with zeros. */
function bytesWith(
  options: string,
  { sname = '', file = '', cookie = COOKIE, start = '01010600' } = {},
): Buffer {
  const header = `${start}1234abcd00000000${'00'.repeat(16)}525400000007${'00'.repeat(10)}`;
  return Buffer.from(header + sname.padEnd(128, '0') + file.padEnd(256, '0') + cookie + options, 'hex');
}

function optionsOf(packet: DhcpPacket): string[] {
  return packet.options.map(({ code, data }) => `${code}=${data.toString('hex')}`);
}

const captured: Record<(typeof CAPTURE_NAMES)[number], readonly [xid: number, flags: number, codes: string]> =
  {
    ipxeBiosDiscover: [0x1ab5b90c, 0, '53 57 93 94 60 77 55 175 61 97'],
    ovmfPxeDiscover: [0xf842b732, BROADCAST_FLAG, '53 57 55 97 94 93 60'],
    ovmfPxeRequest: [0xf842b732, BROADCAST_FLAG, '53 54 50 57 55 97 94 93 60'],
    ipxeUefiRequest: [0x7f7a382e, 0, '53 57 93 94 60 77 55 175 61 97 54 50'],
    ovmfHttpDiscover: [0x420a04b3, BROADCAST_FLAG, '53 57 55 97 94 93 60'],
    ovmfHttpRequest: [0x56c59355, BROADCAST_FLAG, '53 54 50 57 55 97 94 93 60'],
    ipxeUefiDiscover: [0xc79edb5b, 0, '53 57 93 94 60 77 55 175 61 97'],
    grubHttpDiscover: [0x6b021433, 0, '53'],
    udhcpcDiscover: [0x888e654e, 0, '53 57 55 60 61'],
    udhcpcRequest: [0x888e654e, 0, '53 50 54 57 55 60 61'],
    dhclientDiscover: [0xe65fbb24, 0, '53 55'],
    dhclientInitReboot: [0x5366af38, 0, '53 50 55'],
    dhcpcdDiscover: [0x72b4f7e3, 0, '53 55 57 60 145'],
    dhcpcdInitReboot: [0x72b4f7e3, 0, '50 53 55 57 60 145'],
    grubDiscover: [0x6b01f622, 0, '53'],
    grubRequest: [0x6b01f622, 0, '53 54 50 55'],
    relayedDiscover: [0x2aa78b51, 0, '53 57 55 60 61 82'],
    relayedRequest: [0x2aa78b51, 0, '53 50 54 57 55 60 61 82'],
  };
for (const name of CAPTURE_NAMES) {
  test(`${name} is read, and written back as it was`, (t) => {
    const bytes = capture(name);
    const packet = decodeDhcp(bytes);
    const [xid, flags, codes] = captured[name];
    t.deepEqual([packet.xid, packet.flags], [xid, flags]);
    t.is(packet.options.map(({ code }) => code).join(' '), codes);
    t.is(packet.chaddr.toString('hex').slice(0, 6), name.startsWith('relayed') ? 'a24c98' : '525400');
    const written = encodeDhcp(packet);
    const end = Math.min(written.length, bytes.length);
    t.deepEqual(written.subarray(0, end), bytes.subarray(0, end));
  });
}

test('option overload: options are read from file, then sname, and put together (RFC 3396 §5)', (t) => {
  // 52=3; option 67 in three pieces, one in each field.
  const packet = decodeDhcp(
    bytesWith('350101340103430161610109ff', { file: '430162ff', sname: '4301630c016eff' }),
  );
  t.deepEqual(optionsOf(packet), ['53=01', '67=616263', '97=09', '12=6e']);
  t.is(packet.file, '');
  t.is(packet.sname, '');
});

test('overload of one field leaves the other as text', (t) => {
  const inFile = decodeDhcp(bytesWith('340101ff', { file: '350101ff', sname: '6e31' }));
  t.deepEqual(optionsOf(inFile), ['53=01']);
  t.is(inFile.sname, 'n1');
  const inSname = decodeDhcp(bytesWith('340102ff', { sname: '350101ff', file: '612e30' }));
  t.deepEqual(optionsOf(inSname), ['53=01']);
  t.is(inSname.file, 'a.0');
});

const lenient: readonly [name: string, options: string, expected: string[]][] = [
  ['pads between options', '0000350101000c016e00ff', ['53=01', '12=6e']],
  ['a missing end option', '3501010c016e', ['53=01', '12=6e']],
  ['bytes after the end option', '350101ff0c09', ['53=01']],
  ['no options at all', '', []],
  ['an option of no bytes', '3501015000ff', ['53=01', '80=']],
  ['a code that occurs twice', '0c016e3501010c0131ff', ['12=6e31', '53=01']],
];
for (const [name, options, expected] of lenient) {
  test(`${name} is read`, (t) => t.deepEqual(optionsOf(decodeDhcp(bytesWith(options))), expected));
}

/** 64 bytes of the vendor field, as clients of before the magic cookie of RFC 1048 and of other cookies fill it. */
const vendorFields: readonly [name: string, field: string][] = [
  ['of zeros', ''],
  ['with the cookie of CMU', '434d5500ffffff00'],
  ['with the cookie of Stanford', '5354414e'],
  ['with what looks like options', '6382536435010101ff'],
  ['full of something', 'a5'.repeat(64)],
];
for (const [name, field] of vendorFields) {
  test(`BOOTP with a vendor field ${name} is read, without options, and written as RFC 951 has it`, (t) => {
    const bytes = bytesWith('', { cookie: field.padEnd(128, '0'), sname: '6e31', file: '612e30' });
    t.is(bytes.length, 300);
    const packet = decodeDhcp(bytes);
    t.like(packet, { isBare: true, options: [], sname: 'n1', file: 'a.0', xid: 0x1234abcd });
    const written = encodeDhcp(packet);
    t.is(written.length, 300);
    t.deepEqual(written.subarray(0, 236), bytes.subarray(0, 236));
    t.true(written.subarray(236).every((byte) => byte === 0));
    t.deepEqual(decodeDhcp(written), packet);
    const options = [hex(1, 'ffffff00')];
    t.throws(() => encodeDhcp({ ...packet, options }), { instanceOf: DhcpError, code: 'BAD_OPTION' });
  });
}

test('a message with the cookie is not BOOTP of RFC 951, with options or without', (t) => {
  for (const options of ['', 'ff', '350101ff']) t.is(decodeDhcp(bytesWith(options)).isBare, undefined);
});

const malformed: readonly [name: string, bytes: Buffer, code: string][] = [
  ['nothing', Buffer.alloc(0), 'TRUNCATED'],
  ['one byte', Buffer.of(1), 'TRUNCATED'],
  ['BOOTP without a vendor field', bytesWith('', { cookie: '' }), 'BAD_COOKIE'],
  ['BOOTP a byte too short', bytesWith('', { cookie: '00'.repeat(63) }), 'BAD_COOKIE'],
  ['a wrong cookie', bytesWith('350101ff', { cookie: '63825364' }), 'BAD_COOKIE'],
  ['an op that is neither', bytesWith('ff', { start: '03010600' }), 'BAD_OP'],
  ['a hardware address of 17 bytes', bytesWith('ff', { start: '01011100' }), 'BAD_HARDWARE_ADDRESS'],
  ['an option past the end', bytesWith('350201'), 'BAD_OPTION'],
  ['a code without its length', bytesWith('35010135'), 'BAD_OPTION'],
  ['an overload of 4', bytesWith('340104ff'), 'BAD_OPTION'],
  ['an overload of no bytes', bytesWith('3400ff'), 'BAD_OPTION'],
  ['an option past the end of an overloaded file', bytesWith('340101ff', { file: '0cff' }), 'BAD_OPTION'],
  ['more than is ever sent', Buffer.alloc(MAX_MESSAGE + 1, 1), 'TOO_LONG'],
];
for (const [name, bytes, code] of malformed) {
  test(`${name} is refused`, (t) => {
    t.is(t.throws(() => decodeDhcp(bytes), { instanceOf: DhcpError })?.code, code as DhcpError['code']);
  });
}

test('a short reply is padded to 300 bytes', (t) => {
  t.is(encodeDhcp(clientMessage([hex(53, '01')])).length, 300);
});

test('an option longer than 255 bytes is split, and read back whole', (t) => {
  const data = Buffer.alloc(600, 'x');
  const bytes = encodeDhcp(clientMessage([{ code: 67, data }]));
  t.is(bytes.subarray(240, 242).toString('hex'), '43ff');
  t.is(bytes.subarray(240 + 257, 240 + 259).toString('hex'), '43ff');
  t.deepEqual(decodeDhcp(bytes).options, [{ code: 67, data }]);
});

test('what does not fit is refused, never cut', (t) => {
  const packet = clientMessage([{ code: 67, data: Buffer.alloc(200) }]);
  t.is(encodeDhcp(packet, 443).length, 443);
  t.is(t.throws(() => encodeDhcp(packet, 442), { instanceOf: DhcpError })?.code, 'TOO_LARGE');
  t.is(
    t.throws(() => encodeDhcp({ ...packet, file: 'x'.repeat(129) }), { instanceOf: DhcpError })?.code,
    'BAD_OPTION',
  );
  t.is(
    t.throws(() => encodeDhcp(clientMessage([hex(52, '01')])), { instanceOf: DhcpError })?.code,
    'BAD_OPTION',
  );
  t.is(
    t.throws(() => encodeDhcp({ ...packet, chaddr: Buffer.alloc(17) }), { instanceOf: DhcpError })?.code,
    'BAD_HARDWARE_ADDRESS',
  );
});

const address = fc.integer({ min: 0, max: 0xffffffff }).map(numberToIpv4);
const uint = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const latin1 = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)).toString('latin1'));
const option: fc.Arbitrary<DhcpOption> = fc.record({
  code: fc.integer({ min: 1, max: 254 }).filter((code) => code !== 52),
  data: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
});
const packets: fc.Arbitrary<DhcpPacket> = fc.record({
  op: fc.constantFrom(1, 2),
  htype: uint(8),
  hops: uint(8),
  xid: uint(32),
  secs: uint(16),
  flags: uint(16),
  ciaddr: address,
  yiaddr: address,
  siaddr: address,
  giaddr: address,
  chaddr: fc.uint8Array({ maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  sname: latin1(64),
  file: latin1(128),
  options: fc.uniqueArray(option, { selector: ({ code }) => code, maxLength: 8 }),
});

test('every packet is read back as it was written', (t) => {
  fc.assert(fc.property(packets, (packet) => void t.deepEqual(decodeDhcp(encodeDhcp(packet)), packet)));
});

test('whatever the bytes, they are a packet or a DhcpError', (t) => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => bytesWith(Buffer.from(bytes).toString('hex'))),
  );
  const readable = (bytes: Buffer): boolean => {
    try {
      decodeDhcp(bytes);
      return true;
    } catch (error) {
      return error instanceof DhcpError;
    }
  };
  fc.assert(fc.property(anything, readable), { numRuns: 5000 });
  t.pass();
});
