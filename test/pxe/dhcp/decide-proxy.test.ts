import test from 'ava';
import { type ProxyArrival, type ProxyFacts, decideProxy } from '../../../src/pxe/dhcp/decide-proxy.js';
import type { BootIntent } from '../../../src/pxe/dhcp/facts.js';
import { DEFAULT_LOADERS } from '../../../src/pxe/dhcp/loaders.js';
import { OPTION, findOption, readText } from '../../../src/pxe/dhcp/options.js';
import { BOOTREPLY, type DhcpPacket, decodeDhcp, encodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { maxReplySize } from '../../../src/pxe/dhcp/reply.js';
import { capture } from './captures.js';
import { arch, chose, clientMessage, hex, is, vendor, wants } from './messages.js';

const SERVER = '10.77.0.2';
const URL = 'http://10.77.0.2:8080/nodes/n1/boot.ipxe';
const script: BootIntent = { kind: 'osimage', scriptUrl: URL };

function factsWith(fields: Partial<ProxyFacts> = {}, intent: BootIntent = script): ProxyFacts {
  return {
    node: { name: 'n1', ip: null, intent },
    server: SERVER,
    menus: [],
    tftpServer: 'subnet',
    httpUrl: 'http://10.77.0.2:8080',
    loaders: DEFAULT_LOADERS,
    ...fields,
  };
}

const on67: ProxyArrival = { port: 67 };
const on4011: ProxyArrival = { port: 4011, sender: { address: '10.77.0.50', port: 4011 } };
const bios = [vendor('PXEClient:Arch:00000:UNDI:002001'), arch(0)];
const ipxe = [vendor('PXEClient:Arch:00000:UNDI:002001'), hex(77, '69505845'), hex(175, '130101')];
const message = (
  type: Parameters<typeof is>[0],
  options: DhcpPacket['options'],
  fields: Partial<DhcpPacket> = {},
): DhcpPacket => clientMessage([is(type), ...options], fields);
const ALL = 'broadcast 255.255.255.255:68';

const rows: readonly [
  name: string,
  packet: DhcpPacket,
  facts: ProxyFacts,
  arrival: ProxyArrival,
  expected: string,
][] = [
  ['a BIOS ROM discovers', message('discover', bios), factsWith(), on67, `offer undionly.kpxe to ${ALL}`],
  [
    'OVMF discovers',
    decodeDhcp(capture('ovmfPxeDiscover')),
    factsWith(),
    on67,
    `offer snponly.efi to ${ALL}`,
  ],
  [
    'OVMF discovers by HTTP',
    decodeDhcp(capture('ovmfHttpDiscover')),
    factsWith(),
    on67,
    `offer http://10.77.0.2:8080/loaders/snponly.efi to ${ALL}`,
  ],
  ['iPXE discovers', message('discover', ipxe), factsWith(), on67, `offer ${URL} to ${ALL}`],
  [
    'a ROM discovers through a relay',
    message('discover', bios, { giaddr: '10.88.0.254' }),
    factsWith(),
    on67,
    'offer undionly.kpxe to relay 10.88.0.254:67',
  ],
  ['an operating system discovers', message('discover', []), factsWith(), on67, 'ignore no-boot'],
  ['udhcpc discovers', decodeDhcp(capture('udhcpcDiscover')), factsWith(), on67, 'ignore no-boot'],
  [
    'the Debian installer discovers',
    message('discover', [vendor('d-i')]),
    factsWith(),
    on67,
    'ignore no-boot',
  ],
  [
    'a stranger discovers',
    message('discover', bios),
    factsWith({ node: undefined }),
    on67,
    'ignore unknown-node',
  ],
  [
    'a node that is offline',
    message('discover', bios),
    factsWith({}, { kind: 'offline' }),
    on67,
    'ignore no-boot',
  ],
  [
    'a node without an assignment',
    message('discover', bios),
    factsWith({}, { kind: 'unknown' }),
    on67,
    'ignore no-boot',
  ],
  [
    'a ROM while TFTP is off',
    message('discover', bios),
    factsWith({ tftpServer: undefined }),
    on67,
    'ignore no-boot',
  ],
  [
    'a ROM takes its address elsewhere',
    message('request', [...bios, wants('10.77.0.50'), chose('10.77.0.1')]),
    factsWith(),
    on67,
    'ignore other-server',
  ],
  [
    'a ROM asks us for the address we never offered',
    message('request', [...bios, wants('10.77.0.50'), chose(SERVER)]),
    factsWith(),
    on67,
    'ignore other-server',
  ],
  [
    'a ROM declines',
    message('decline', [...bios, wants('10.77.0.50')]),
    factsWith(),
    on67,
    'ignore other-server',
  ],
  [
    'a ROM asks at 4011',
    message('request', bios, { ciaddr: '10.77.0.50' }),
    factsWith(),
    on4011,
    'ack undionly.kpxe to unicast 10.77.0.50:4011',
  ],
  [
    'a ROM asks at 4011 without saying its address',
    message('request', bios),
    factsWith(),
    { port: 4011, sender: { address: '10.77.0.51', port: 68 } },
    'ack undionly.kpxe to unicast 10.77.0.51:68',
  ],
  ['a ROM discovers at 4011', message('discover', bios), factsWith(), on4011, 'ignore other-server'],
  [
    'a ROM informs itself',
    message('inform', bios, { ciaddr: '10.77.0.50' }),
    factsWith(),
    on67,
    'ack undionly.kpxe to unicast 10.77.0.50:68',
  ],
  [
    'another server offers',
    { ...message('offer', bios), op: BOOTREPLY },
    factsWith(),
    on67,
    'ignore not-a-request',
  ],
  ['plain BOOTP', clientMessage(bios), factsWith(), on67, 'ignore not-a-request'],
];
for (const [name, packet, facts, arrival, expected] of rows) {
  test(`${name}: ${expected}`, (t) => {
    const decision = decideProxy(packet, facts, arrival);
    t.notRegex(decision.detail, /\n/);
    if (decision.kind === 'ignore') return t.is(`ignore ${decision.reason}`, expected);
    if (decision.kind !== 'reply') return t.fail(decision.kind);
    const { type, bootFile, to, packet: reply } = decision;
    t.is(`${type} ${bootFile} to ${to.kind} ${to.address}:${to.port}`, expected);
    t.like(decision, { isProxy: true, address: null, from: SERVER, port: arrival.port });
    t.like(reply, { op: BOOTREPLY, xid: packet.xid, yiaddr: '0.0.0.0' });
    for (const code of [OPTION.leaseTime, OPTION.subnetMask, OPTION.routers]) {
      t.is(findOption(reply, code), undefined);
    }
    t.regex(readText(reply, OPTION.vendorClass) ?? '', /^(?:PXE|HTTP)Client$/);
    t.is(findOption(reply, OPTION.serverIdentifier)?.toString('hex'), '0a4d0002');
    t.notThrows(() => encodeDhcp(reply, maxReplySize(packet)));
  });
}

/** Option 43 of the answer, hexadecimal. */
function vendorOptions(packet: DhcpPacket, facts: ProxyFacts, arrival: ProxyArrival): string | undefined {
  const decision = decideProxy(packet, facts, arrival);
  return decision.kind === 'reply'
    ? findOption(decision.packet, OPTION.vendorSpecific)?.toString('hex')
    : undefined;
}

test('a ROM is told to load the boot file and look no further', (t) => {
  t.is(vendorOptions(message('discover', bios), factsWith(), on67), '060108ff');
  t.is(vendorOptions(message('discover', ipxe), factsWith(), on67), undefined);
});

test('a ROM that needs a menu gets one of one entry, and its choice is confirmed at 4011', (t) => {
  const menus = factsWith({ menus: ['00:1b:21', '52:54:00'] });
  t.is(
    vendorOptions(message('discover', bios), menus, on67),
    `060107` +
      `0807800001${'0a4d0002'}` +
      `090b800008${'7261636b626f6f74'}` +
      `0a0900${'7261636b626f6f74'}` +
      'ff',
  );
  const choice = message('request', [...bios, hex(43, '470480000000ff')]);
  t.is(vendorOptions(choice, menus, on4011), '470480000000ff');
  t.is(vendorOptions(message('discover', bios), factsWith({ menus: ['00:1b:21'] }), on67), '060108ff');
});

test('what relay and client need comes back', (t) => {
  const packet = message('discover', [...bios, hex(61, '01525400000007'), hex(82, '0104deadbeef')]);
  const decision = decideProxy(packet, factsWith(), on67);
  if (decision.kind !== 'reply') return t.fail(decision.kind);
  t.deepEqual(
    decision.packet.options.slice(-2).map(({ code, data }) => `${code}=${data.toString('hex')}`),
    ['61=01525400000007', '82=0104deadbeef'],
  );
});
