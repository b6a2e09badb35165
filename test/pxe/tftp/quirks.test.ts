import test from 'ava';
import { macInTable } from '../../../src/pxe/tftp/neighbours.js';
import { type TftpQuirk, capsFor } from '../../../src/pxe/tftp/quirks.js';

const quirks: readonly TftpQuirk[] = [
  { network: '10.77.3.0/24', blksize: 1024 },
  { network: 'fd00:77::/64', windowsize: 4 },
  { network: 'fe80::/10', blksize: 1200 },
  { mac: '52:54:00', blksize: 1468, windowsize: 1 },
  { mac: '52:54:00:AB', blksize: 512 },
  { mac: '00:50:56', network: '10.77.0.0/16', options: 'ignore' },
];

for (const [name, address, mac, blksize, windowsize, options] of [
  ['nobody', '10.78.0.1', undefined, Infinity, Infinity, true],
  ['an address', '10.77.3.9', undefined, 1024, Infinity, true],
  ['an address next to it', '10.77.4.9', undefined, Infinity, Infinity, true],
  ['an IPv6 address', 'fd00:77::5', undefined, Infinity, 4, true],
  ['an IPv6 address with an interface', 'fe80::1%eth0', undefined, 1200, Infinity, true],
  ['a MAC address', '10.78.0.1', '52:54:00:00:00:01', 1468, 1, true],
  ['a longer prefix of one, in capitals', '10.78.0.1', '52:54:00:ab:00:01', 512, 1, true],
  ['address and MAC address by an entry each', '10.77.3.9', '52:54:00:00:00:01', 1024, 1, true],
  ['both by one entry', '10.77.0.9', '00:50:56:00:00:01', Infinity, Infinity, false],
  ['only half of an entry', '10.78.0.9', '00:50:56:00:00:01', Infinity, Infinity, true],
] as const) {
  test(`quirks for ${name}`, (t) => {
    const caps = capsFor(quirks, address, mac === undefined ? [] : ['02:00:00:00:00:01', mac]);
    t.deepEqual(caps, { blksize, windowsize, options });
  });
}

test('octets are compared whole', (t) => {
  t.is(capsFor([{ mac: '52:54:0a', blksize: 512 }], '10.0.0.1', ['52:54:0a:00:00:01']).blksize, 512);
  t.is(capsFor([{ mac: '52:54:00:00:00:01', blksize: 512 }], '10.0.0.1', ['52:54:00:00:00:01']).blksize, 512);
  t.is(capsFor([{ mac: '52:54', blksize: 512 }], '10.0.0.1', ['52:55:00:00:00:01']).blksize, Infinity);
});

test('the kernel’s table of neighbours', (t) => {
  const table =
    'IP address       HW type     Flags       HW address            Mask     Device\n' +
    '10.77.0.10       0x1         0x2         52:54:00:AA:00:01     *        eth0\n' +
    '10.77.0.1        0x1         0x6         52:54:00:aa:00:02     *        eth0\n' +
    '10.77.0.3        0x1         0x0         00:00:00:00:00:00     *        eth0\n';
  t.is(macInTable(table, '10.77.0.10'), '52:54:00:aa:00:01');
  t.is(macInTable(table, '10.77.0.1'), '52:54:00:aa:00:02');
  t.is(macInTable(table, '10.77.0.3'), undefined);
  t.is(macInTable(table, '10.77.0'), undefined);
  t.is(macInTable('', '10.77.0.1'), undefined);
});
