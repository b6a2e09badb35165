import test from 'ava';
import fc from 'fast-check';
import { readCapture } from '../../../src/pxe/dhcp/capture.js';
import { PcapError } from '../../../src/pxe/dhcp/pcap.js';
import { clientMessage, is } from './messages.js';
import { type PcapStyle, ethernet, ipPacket, pcapFile } from './pcap-file.js';

const packet = clientMessage([is('discover')]);
const ip = ipPacket({ from: '0.0.0.0:68', to: '255.255.255.255:67', packet });
const cooked2 = (frame: Buffer): Buffer => Buffer.concat([Buffer.of(8, 0), Buffer.alloc(18), frame]);

const styles: readonly [name: string, style: Partial<PcapStyle>, at: number][] = [
  ['little-endian, microseconds', {}, 1_000_000.5],
  ['big-endian, microseconds', { little: false }, 1_000_000.5],
  ['nanoseconds', { magic: 0xa1b23c4d }, 1_000_000.0005],
  ['raw IP', { linkType: 101, frame: (bytes) => bytes }, 1_000_000.5],
  [
    'cooked',
    { linkType: 113, frame: (bytes) => Buffer.concat([Buffer.alloc(14), Buffer.of(8, 0), bytes]) },
    1_000_000.5,
  ],
  ['cooked v2', { linkType: 276, frame: cooked2 }, 1_000_000.5],
  [
    'two VLAN tags',
    {
      frame: (bytes) => Buffer.concat([Buffer.alloc(12), Buffer.from('88a800648100000a0800', 'hex'), bytes]),
    },
    1_000_000.5,
  ],
];
for (const [name, style, at] of styles) {
  test(`a capture is read: ${name}`, (t) => {
    const { sightings, malformed } = readCapture(pcapFile([ip], { ...ethernet, ...style }));
    t.is(malformed, 0);
    t.deepEqual(sightings, [
      {
        at,
        from: { address: '0.0.0.0', port: 68 },
        to: { address: '255.255.255.255', port: 67 },
        packet,
      },
    ]);
  });
}

test('other packets, fragments and what is cut off are passed over; malformed messages are counted', (t) => {
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(ip);
    change(bytes);
    return bytes;
  };
  const others = [
    changed((bytes) => bytes.writeUInt8(6, 9)), // TCP
    changed((bytes) => bytes.writeUInt16BE(0x2000, 6)), // a first fragment
    changed((bytes) => bytes.writeUInt16BE(53, 22)), // another port
    changed((bytes) => bytes.writeUInt8(0x65, 0)), // IPv6
    ip.subarray(0, 24),
  ];
  t.deepEqual(readCapture(pcapFile(others)), { sightings: [], malformed: 0 });
  const broken = changed((bytes) => bytes.writeUInt8(3, 28)); // neither a request nor a reply
  const whole = pcapFile([broken, ip, ip]);
  const { sightings, malformed } = readCapture(whole.subarray(0, whole.length - 1));
  t.deepEqual([sightings.length, malformed], [1, 1]);
});

test('what is no capture is refused with the mend', (t) => {
  const refused = (bytes: Buffer): PcapError | undefined =>
    t.throws(() => readCapture(bytes), { instanceOf: PcapError });
  t.regex(refused(Buffer.from('hello'))?.message ?? '', /tcpdump -w/);
  t.regex(
    refused(Buffer.concat([Buffer.from('0a0d0d0a', 'hex'), Buffer.alloc(40)]))?.message ?? '',
    /editcap/,
  );
  t.is(refused(pcapFile([ip], { ...ethernet, linkType: 105 }))?.code, 'LINK_TYPE');
});

test('whatever the bytes, a capture is read or refused', (t) => {
  const head = pcapFile([ip]);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(head.length - 1), fc.nat(255)), { maxLength: 20 }), (changes) => {
      const bytes = Buffer.from(head);
      for (const [at, value] of changes) bytes.writeUInt8(value, at);
      try {
        readCapture(bytes);
      } catch (error) {
        if (!(error instanceof PcapError)) throw error;
      }
    }),
  );
  t.pass();
});
