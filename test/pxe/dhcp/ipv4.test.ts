import test from 'ava';
import fc from 'fast-check';
import { DhcpError } from '../../../src/pxe/dhcp/errors.js';
import {
  broadcastOf,
  ipv4ToNumber,
  isInNetwork,
  numberToIpv4,
  parseNetwork,
} from '../../../src/pxe/dhcp/ipv4.js';

test('an address and its number are the same thing', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffffff }),
      (value) => ipv4ToNumber(numberToIpv4(value)) === value,
    ),
  );
  t.is(numberToIpv4(0x0a4d0001), '10.77.0.1');
});

for (const text of [
  '',
  '10.77.0',
  '10.77.0.256',
  '10.77.0.1.2',
  'node',
  '10.77.0.0x1',
  ' 10.77.0.1',
  '-1.0.0.0',
]) {
  test(`"${text}" is not an address`, (t) => {
    t.is(t.throws(() => ipv4ToNumber(text), { instanceOf: DhcpError })?.code, 'BAD_ADDRESS');
  });
}

const networks: readonly [network: string, address: string, inside: boolean, broadcast: string][] = [
  ['10.77.0.0/24', '10.77.0.255', true, '10.77.0.255'],
  ['10.77.0.0/24', '10.77.1.0', false, '10.77.0.255'],
  ['10.77.0.9/24', '10.77.0.1', true, '10.77.0.255'],
  ['192.168.4.0/22', '192.168.7.254', true, '192.168.7.255'],
  ['10.1.2.3/32', '10.1.2.3', true, '10.1.2.3'],
  ['10.1.2.3/32', '10.1.2.2', false, '10.1.2.3'],
  ['0.0.0.0/0', '255.1.2.3', true, '255.255.255.255'],
  ['128.0.0.0/1', '200.0.0.1', true, '255.255.255.255'],
];
for (const [network, address, inside, broadcast] of networks) {
  test(`${network} ${inside ? 'holds' : 'does not hold'} ${address}`, (t) => {
    t.is(isInNetwork(parseNetwork(network), address), inside);
    t.is(broadcastOf(parseNetwork(network)), broadcast);
  });
}

for (const text of ['10.77.0.0', '10.77.0.0/33', '10.77.0.0/', '10.77/16', '10.77.0.0/24/8']) {
  test(`"${text}" is not a network`, (t) => {
    t.is(t.throws(() => parseNetwork(text), { instanceOf: DhcpError })?.code, 'BAD_ADDRESS');
  });
}
