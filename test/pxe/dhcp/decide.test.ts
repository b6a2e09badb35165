import test from 'ava';
import { type Decision, DECLINE_HOLD, decide } from '../../../src/pxe/dhcp/decide.js';
import { DhcpError } from '../../../src/pxe/dhcp/errors.js';
import type { BootIntent, DhcpFacts } from '../../../src/pxe/dhcp/facts.js';
import { DEFAULT_LOADERS } from '../../../src/pxe/dhcp/loaders.js';
import { OPTION, findOption, readText } from '../../../src/pxe/dhcp/options.js';
import {
  BOOTREPLY,
  BROADCAST_FLAG,
  type DhcpPacket,
  decodeDhcp,
  encodeDhcp,
} from '../../../src/pxe/dhcp/packet.js';
import { maxReplySize } from '../../../src/pxe/dhcp/reply.js';
import { parseSubnet } from '../../../src/pxe/dhcp/subnets.js';
import { capture } from './captures.js';
import { arch, chose, clientMessage, hex, is, vendor, wants } from './messages.js';

const NOW = 1_000_000;
const SERVER = '10.77.0.1';
const local = parseSubnet(
  {
    network: '10.77.0.0/24',
    server: SERVER,
    routers: ['10.77.0.254'],
    nameServers: [SERVER, '9.9.9.9'],
    domain: 'rack.example',
    lease: 3600,
    pools: [],
    relays: [],
  },
  'eth1',
);
const relayed = parseSubnet(
  {
    network: '10.88.0.0/24',
    server: SERVER,
    routers: ['10.88.0.254'],
    nameServers: [],
    lease: 600,
    pools: [],
    relays: [],
  },
  'eth1',
);

const script: BootIntent = { kind: 'osimage', scriptUrl: 'http://10.77.0.1:8080/nodes/n1/boot.ipxe' };

function factsWith(
  fields: Partial<DhcpFacts> = {},
  ip: string | null = '10.77.0.11',
  intent = script,
): DhcpFacts {
  return {
    subnets: [local, relayed],
    node: { name: 'n1', ip, intent },
    heldUntil: undefined,
    tftpServer: 'subnet',
    httpUrl: 'http://10.77.0.1:8080',
    loaders: DEFAULT_LOADERS,
    ...fields,
  };
}

/** A decision in a few words: `ack 10.77.0.11 to unicast 10.77.0.11:68`. */
function summaryOf(decision: Decision): string {
  switch (decision.kind) {
    case 'reply':
      return `${decision.type} ${decision.packet.yiaddr} to ${decision.to.kind} ${decision.to.address}:${decision.to.port}`;
    case 'ignore':
      return `ignore ${decision.reason}`;
    default:
      return `${decision.kind} ${decision.address}`;
  }
}

const ANY = 'unicast-arp 10.77.0.11:68';
const ALL = 'broadcast 255.255.255.255:68';
const discover = clientMessage([is('discover')]);
const request = (...options: DhcpPacket['options'][number][]): DhcpPacket =>
  clientMessage([is('request'), ...options]);
const with_ = (packet: DhcpPacket, fields: Partial<DhcpPacket>): DhcpPacket => ({ ...packet, ...fields });

const rows: readonly [name: string, packet: DhcpPacket, facts: DhcpFacts, expected: string][] = [
  ['discover', discover, factsWith(), `offer 10.77.0.11 to ${ANY}`],
  [
    'discover, cannot take unicast',
    with_(discover, { flags: BROADCAST_FLAG }),
    factsWith(),
    `offer 10.77.0.11 to ${ALL}`,
  ],
  [
    'discover through a relay',
    with_(discover, { giaddr: '10.88.0.254', hops: 1 }),
    factsWith({}, '10.88.0.5'),
    'offer 10.88.0.5 to relay 10.88.0.254:67',
  ],
  [
    'discover through a relay of another subnet',
    with_(discover, { giaddr: '10.88.0.254' }),
    factsWith(),
    'ignore wrong-subnet',
  ],
  [
    'discover through a relay of no subnet',
    with_(discover, { giaddr: '10.99.0.254' }),
    factsWith({}, '10.88.0.5'),
    'ignore wrong-subnet',
  ],
  [
    'discover through a relay that selects another link',
    with_(clientMessage([is('discover'), hex(82, '05040a580000')]), { giaddr: '10.99.0.254' }),
    factsWith({}, '10.88.0.5'),
    'offer 10.88.0.5 to relay 10.99.0.254:67',
  ],
  [
    'discover with a link selection of its own',
    clientMessage([is('discover'), hex(82, '05040a580000')]),
    factsWith({}, '10.88.0.5'),
    'ignore wrong-subnet',
  ],
  [
    'discover through a relay that is named',
    with_(discover, { giaddr: '10.88.0.254' }),
    factsWith({ subnets: [local, { ...relayed, relays: ['10.88.0.254'] }] }, '10.88.0.5'),
    'offer 10.88.0.5 to relay 10.88.0.254:67',
  ],
  [
    'discover through a relay that is not named',
    with_(discover, { giaddr: '10.88.0.253' }),
    factsWith({ subnets: [local, { ...relayed, relays: ['10.88.0.254'] }] }, '10.88.0.5'),
    'ignore unknown-relay',
  ],
  [
    'discover of a node behind a relay, without one',
    discover,
    factsWith({}, '10.88.0.5'),
    'ignore wrong-subnet',
  ],
  ['discover of an unknown node', discover, factsWith({ node: undefined }), 'ignore unknown-node'],
  ['discover of a node without an address', discover, factsWith({}, null), 'ignore no-reservation'],
  [
    'selecting another server, without an address',
    request(wants('10.77.0.50'), chose('10.77.0.2')),
    factsWith({}, null),
    'ignore other-server',
  ],
  ['discover of a node of no subnet', discover, factsWith({}, '192.168.1.5'), 'ignore wrong-subnet'],
  [
    'discover on an interface whose subnets are others',
    discover,
    factsWith({ subnets: [relayed] }),
    'ignore wrong-subnet',
  ],
  [
    'discover of an address declined just now',
    discover,
    factsWith({ heldUntil: NOW + 1 }),
    'ignore address-held',
  ],
  [
    'discover of an address declined long ago',
    discover,
    factsWith({ heldUntil: NOW }),
    `offer 10.77.0.11 to ${ANY}`,
  ],
  [
    'discover with a stray ciaddr',
    with_(discover, { ciaddr: '10.77.0.99' }),
    factsWith(),
    `offer 10.77.0.11 to ${ANY}`,
  ],

  ['selecting', request(wants('10.77.0.11'), chose(SERVER)), factsWith(), `ack 10.77.0.11 to ${ANY}`],
  [
    'selecting another server',
    request(wants('10.77.0.50'), chose('10.77.0.2')),
    factsWith(),
    'ignore other-server',
  ],
  [
    'selecting another address',
    request(wants('10.77.0.12'), chose(SERVER)),
    factsWith(),
    `nak 0.0.0.0 to ${ALL}`,
  ],
  [
    'selecting, unknown node',
    request(wants('10.77.0.11'), chose(SERVER)),
    factsWith({ node: undefined }),
    'ignore unknown-node',
  ],
  [
    'selecting, declined',
    request(wants('10.77.0.11'), chose(SERVER)),
    factsWith({ heldUntil: NOW + 1 }),
    'ignore address-held',
  ],
  ['init-reboot', request(wants('10.77.0.11')), factsWith(), `ack 10.77.0.11 to ${ANY}`],
  ['init-reboot, another address', request(wants('10.77.0.12')), factsWith(), `nak 0.0.0.0 to ${ALL}`],
  ['init-reboot, another network', request(wants('192.168.1.5')), factsWith(), `nak 0.0.0.0 to ${ALL}`],
  [
    'init-reboot, unknown node',
    request(wants('10.77.0.11')),
    factsWith({ node: undefined }),
    'ignore unknown-node',
  ],
  [
    'init-reboot through a relay, another address',
    with_(request(wants('10.88.0.6')), { giaddr: '10.88.0.254' }),
    factsWith({}, '10.88.0.5'),
    'nak 0.0.0.0 to relay 10.88.0.254:67',
  ],
  [
    'init-reboot behind another relay, old address',
    with_(request(wants('10.77.0.11')), { giaddr: '10.88.0.254' }),
    factsWith(),
    'nak 0.0.0.0 to relay 10.88.0.254:67',
  ],
  [
    'init-reboot behind another relay, address of it',
    with_(request(wants('10.88.0.9')), { giaddr: '10.88.0.254' }),
    factsWith(),
    'ignore wrong-subnet',
  ],
  [
    'selecting behind another relay',
    with_(request(wants('10.77.0.11'), chose(SERVER)), { giaddr: '10.88.0.254' }),
    factsWith(),
    'ignore wrong-subnet',
  ],
  [
    'renewing',
    with_(request(), { ciaddr: '10.77.0.11' }),
    factsWith(),
    'ack 10.77.0.11 to unicast 10.77.0.11:68',
  ],
  [
    'rebinding through a relay',
    with_(request(), { ciaddr: '10.88.0.5', giaddr: '10.88.0.254' }),
    factsWith({}, '10.88.0.5'),
    'ack 10.88.0.5 to relay 10.88.0.254:67',
  ],
  [
    'renewing from behind a relay',
    with_(request(), { ciaddr: '10.88.0.5' }),
    factsWith({}, '10.88.0.5'),
    'ack 10.88.0.5 to unicast 10.88.0.5:68',
  ],
  [
    'renewing another address',
    with_(request(), { ciaddr: '10.77.0.12' }),
    factsWith(),
    `nak 0.0.0.0 to ${ALL}`,
  ],
  [
    'requesting the reservation from another address',
    with_(request(wants('10.77.0.11')), { ciaddr: '10.77.0.12' }),
    factsWith(),
    `nak 0.0.0.0 to ${ALL}`,
  ],
  ['requesting nothing', request(), factsWith(), 'ignore malformed'],

  [
    'release',
    with_(clientMessage([is('release'), chose(SERVER)]), { ciaddr: '10.77.0.11' }),
    factsWith(),
    'release 10.77.0.11',
  ],
  [
    'release of another address',
    with_(clientMessage([is('release'), chose(SERVER)]), { ciaddr: '10.77.0.12' }),
    factsWith(),
    'ignore malformed',
  ],
  [
    'release to another server',
    with_(clientMessage([is('release'), chose('10.77.0.2')]), { ciaddr: '10.77.0.11' }),
    factsWith(),
    'ignore other-server',
  ],
  [
    'decline',
    clientMessage([is('decline'), wants('10.77.0.11'), chose(SERVER)]),
    factsWith(),
    'decline 10.77.0.11',
  ],
  [
    'decline of another address',
    clientMessage([is('decline'), wants('10.77.0.12'), chose(SERVER)]),
    factsWith(),
    'ignore malformed',
  ],
  [
    'inform',
    with_(clientMessage([is('inform')]), { ciaddr: '10.77.0.60' }),
    factsWith(),
    'ack 0.0.0.0 to unicast 10.77.0.60:68',
  ],
  [
    'inform from elsewhere',
    with_(clientMessage([is('inform')]), { ciaddr: '8.8.8.8' }),
    factsWith(),
    'ignore wrong-subnet',
  ],
  [
    'inform of a node without a reservation',
    with_(clientMessage([is('inform')]), { ciaddr: '10.77.0.60' }),
    factsWith({}, null),
    'ack 0.0.0.0 to unicast 10.77.0.60:68',
  ],
  [
    'inform through a relay of another network',
    with_(clientMessage([is('inform')]), { ciaddr: '10.77.0.60', giaddr: '10.88.0.254' }),
    factsWith(),
    'ignore wrong-subnet',
  ],
  ['inform from nowhere', clientMessage([is('inform')]), factsWith(), 'ignore malformed'],

  [
    'an offer of another server',
    with_(clientMessage([is('offer')]), { op: BOOTREPLY }),
    factsWith(),
    'ignore not-a-request',
  ],
  ['an offer that says it is a request', clientMessage([is('offer')]), factsWith(), 'ignore not-a-request'],
  ['BOOTP without a reservation', clientMessage([]), factsWith({}, null), 'ignore no-reservation'],
  ['BOOTP of nobody we know', clientMessage([]), factsWith({ node: undefined }), 'ignore unknown-node'],
  ['BOOTP for another server', clientMessage([], { sname: 'other' }), factsWith(), 'ignore other-server'],
  [
    'BOOTP behind the wrong relay',
    clientMessage([], { giaddr: '10.88.0.254' }),
    factsWith(),
    'ignore wrong-subnet',
  ],
  [
    'BOOTP for a declined address',
    clientMessage([]),
    factsWith({ heldUntil: NOW + 1 }),
    'ignore address-held',
  ],
  ['a lease query', clientMessage([hex(53, '0a')]), factsWith(), 'ignore not-a-request'],
];
for (const [name, packet, facts, expected] of rows) {
  test(`${name}: ${expected}`, (t) => {
    const decision = decide(packet, facts, NOW);
    t.is(summaryOf(decision), expected);
    t.notRegex(decision.detail, /\n/);
    if (decision.kind !== 'reply') return;
    const reply = decision.packet;
    t.deepEqual([reply.op, reply.xid, reply.giaddr], [BOOTREPLY, packet.xid, packet.giaddr]);
    t.deepEqual(reply.chaddr, packet.chaddr);
    t.is(findOption(reply, OPTION.serverIdentifier)?.toString('hex'), '0a4d0001');
    t.notThrows(() => encodeDhcp(reply, maxReplySize(packet)));
  });
}

const bootpRows: readonly (readonly [string, Partial<DhcpPacket>, string, string])[] = [
  ['plain', {}, `ack 10.77.0.11 to ${ANY}`, '10.77.0.11'],
  ['that wants a broadcast', { flags: BROADCAST_FLAG }, `ack 10.77.0.11 to ${ALL}`, '10.77.0.11'],
  ['that means us', { sname: SERVER }, `ack 10.77.0.11 to ${ANY}`, '10.77.0.11'],
  ['that has its address', { ciaddr: '10.77.0.11' }, 'ack 10.77.0.11 to unicast 10.77.0.11:68', '10.77.0.11'],
  ['through a relay', { giaddr: '10.88.0.254' }, 'ack 10.88.0.11 to relay 10.88.0.254:67', '10.88.0.11'],
];
for (const [name, fields, expected, ip] of bootpRows) {
  test(`BOOTP ${name}: ${expected}, and no word of a lease`, (t) => {
    const relayWord = hex(82, '0104706f7274');
    const packet = clientMessage(fields.giaddr === undefined ? [] : [relayWord], fields);
    const decision = decide(packet, factsWith({}, ip), NOW);
    t.is(summaryOf(decision), expected);
    if (decision.kind !== 'reply') return;
    const bytes = encodeDhcp(decision.packet, maxReplySize(packet));
    const reply = decodeDhcp(bytes);
    t.is(bytes.length, 300);
    t.deepEqual([reply.op, reply.xid, reply.yiaddr], [BOOTREPLY, packet.xid, ip]);
    t.deepEqual(
      reply.options.map(({ code }) => code),
      fields.giaddr === undefined ? [1, 3, 6, 12, 15, 28] : [1, 3, 12, 28, 82],
    );
    t.deepEqual([reply.siaddr, reply.sname], [SERVER, SERVER]);
    t.is(reply.file, decision.bootFile ?? '');
    t.not(reply.file, '');
  });
}

for (const [name, fields, expected, ip] of bootpRows) {
  test(`BOOTP without the magic cookie, ${name}: ${expected}, and nothing in the vendor field`, (t) => {
    const packet = clientMessage([], { ...fields, isBare: true });
    const decision = decide(packet, factsWith({}, ip), NOW);
    t.is(summaryOf(decision), expected);
    if (decision.kind !== 'reply') return;
    const bytes = encodeDhcp(decision.packet, maxReplySize(packet));
    t.is(bytes.length, 300);
    t.true(bytes.subarray(236).every((byte) => byte === 0));
    const reply = decodeDhcp(bytes);
    t.like(reply, {
      isBare: true,
      op: BOOTREPLY,
      xid: packet.xid,
      yiaddr: ip,
      siaddr: SERVER,
      sname: SERVER,
    });
    t.is(reply.file, decision.bootFile ?? '');
    t.not(reply.file, '');
  });
}

test('a BOOTP reply keeps to 300 bytes, whatever there is to say', (t) => {
  const wide = { ...local, nameServers: Array.from({ length: 12 }, (_, index) => `10.77.0.${index + 1}`) };
  const facts = factsWith({
    subnets: [wide],
    node: { name: 'n'.repeat(40), ip: '10.77.0.11', intent: { kind: 'unknown' } },
  });
  const decision = decide(clientMessage([]), facts, NOW);
  if (decision.kind !== 'reply') return t.fail();
  t.is(encodeDhcp(decision.packet, maxReplySize(clientMessage([]))).length, 300);
  t.is(findOption(decision.packet, OPTION.subnetMask)?.toString('hex'), 'ffffff00');
  t.deepEqual([decision.packet.file, decision.packet.siaddr, decision.packet.sname], ['', '0.0.0.0', '']);
});

test('a decline holds the address for a minute', (t) => {
  const decision = decide(clientMessage([is('decline'), wants('10.77.0.11')]), factsWith(), NOW);
  t.true(decision.kind === 'decline' && decision.until === NOW + DECLINE_HOLD);
});

test('a refusal through a relay is broadcast there, and echoes what the relay needs', (t) => {
  const decision = decide(
    clientMessage([is('request'), wants('10.88.0.6'), hex(61, '01525400000007'), hex(82, '0104deadbeef')], {
      giaddr: '10.88.0.254',
    }),
    factsWith({}, '10.88.0.5'),
    NOW,
  );
  if (decision.kind !== 'reply') return t.fail(decision.kind);
  t.is(decision.packet.flags, BROADCAST_FLAG);
  t.deepEqual(optionTexts(decision.packet).slice(-2), ['61=01525400000007', '82=0104deadbeef']);
  t.is(findOption(decision.packet, OPTION.leaseTime), undefined);
});

function optionTexts(packet: DhcpPacket): string[] {
  return packet.options.map(({ code, data }) => `${code}=${data.toString('hex')}`);
}

test('an offer says what was asked for, and ends in the relay information', (t) => {
  const decision = decide(
    clientMessage([is('discover'), hex(55, '010306'), hex(82, '0101aa'), hex(61, 'ff00')], {
      giaddr: '10.77.0.254',
    }),
    factsWith(),
    NOW,
  );
  if (decision.kind !== 'reply') return t.fail(decision.kind);
  t.deepEqual(optionTexts(decision.packet), [
    '53=02',
    '54=0a4d0001',
    '51=00000e10',
    '1=ffffff00',
    '3=0a4d00fe',
    '6=0a4d000109090909',
    '61=ff00',
    '82=0101aa',
  ]);
});

test('a client that asks for nothing in particular is told everything', (t) => {
  const decision = decide(request(wants('10.77.0.11'), chose(SERVER)), factsWith(), NOW);
  if (decision.kind !== 'reply') return t.fail(decision.kind);
  t.is(readText(decision.packet, OPTION.hostName), 'n1');
  t.is(readText(decision.packet, OPTION.domainName), 'rack.example');
  t.deepEqual(findOption(decision.packet, OPTION.broadcastAddress), Buffer.from('0a4d00ff', 'hex'));
  t.is(findOption(decision.packet, OPTION.renewalTime)?.readUInt32BE(0), 1800);
  t.is(findOption(decision.packet, OPTION.rebindingTime)?.readUInt32BE(0), 3150);
});

test('inform leases nothing', (t) => {
  const decision = decide(with_(clientMessage([is('inform')]), { ciaddr: '10.77.0.11' }), factsWith(), NOW);
  if (decision.kind !== 'reply') return t.fail(decision.kind);
  for (const code of [OPTION.leaseTime, OPTION.renewalTime, OPTION.rebindingTime]) {
    t.is(findOption(decision.packet, code), undefined);
  }
});

for (const options of [[hex(53, '0101')], [is('request'), hex(50, '0a')], [is('request'), hex(54, '')]]) {
  test(`malformed option ${options.at(-1)?.code} is an error`, (t) => {
    t.is(
      t.throws(() => decide(clientMessage(options), factsWith(), NOW), { instanceOf: DhcpError })?.code,
      'BAD_OPTION',
    );
  });
}

/** What a reply says about booting: `siaddr file | 43 60 66 67 97 175`. */
function bootOf(packet: DhcpPacket, facts: DhcpFacts): string {
  const decision = decide(packet, facts, NOW);
  if (decision.kind !== 'reply') return decision.kind;
  const reply = decision.packet;
  const options = [43, 60, 66, 67, 97, 175].flatMap((code) => {
    const data = findOption(reply, code);
    if (data === undefined) return [];
    return [`${code}=${[60, 66, 67].includes(code) ? data.toString('latin1') : data.toString('hex')}`];
  });
  return [reply.siaddr, reply.file || '-', ...options].join(' ');
}

const uuid = hex(97, '0033221100554477668899aabbccddeeff');
const rom = (type: number): DhcpPacket =>
  clientMessage([is('discover'), vendor('PXEClient:Arch:00000:UNDI:002001'), arch(type), uuid]);
const ipxe = clientMessage([
  is('discover'),
  vendor('PXEClient'),
  hex(77, '69505845'),
  hex(175, '130101'),
  uuid,
]);
const http = clientMessage([is('discover'), vendor('HTTPClient:Arch:00016:UNDI:003001'), arch(16), uuid]);
const pxeReply = (file: string, server = SERVER): string =>
  `${server} ${file} 43=060108ff 60=PXEClient 66=${server} 67=${file} 97=${uuid.data.toString('hex')}`;
const url = 'http://10.77.0.1:8080/nodes/n1/boot.ipxe';
const ipxeReply = `${SERVER} ${url} 67=${url} 97=${uuid.data.toString('hex')} 175=b00101`;

const boots: readonly [name: string, packet: DhcpPacket, facts: DhcpFacts, expected: string][] = [
  ['a BIOS ROM', rom(0), factsWith(), pxeReply('undionly.kpxe')],
  ['UEFI x64', rom(7), factsWith(), pxeReply('snponly.efi')],
  [
    'UEFI x64, set to boot',
    rom(7),
    factsWith({}, undefined, { ...script, kind: 'boot' }),
    pxeReply('snponly.efi'),
  ],
  ['UEFI arm64', rom(11), factsWith(), '0.0.0.0 -'],
  [
    'UEFI arm64, configured',
    rom(11),
    factsWith({ loaders: { 'uefi-arm64': 'snponly-arm64.efi' } }),
    pxeReply('snponly-arm64.efi'),
  ],
  [
    'a BIOS ROM, TFTP elsewhere',
    rom(0),
    factsWith({ tftpServer: { address: '10.77.0.9' } }),
    pxeReply('undionly.kpxe', '10.77.0.9'),
  ],
  ['a BIOS ROM, TFTP off', rom(0), factsWith({ tftpServer: undefined }), '0.0.0.0 -'],
  ['a BIOS ROM, offline', rom(0), factsWith({}, undefined, { kind: 'offline' }), '0.0.0.0 -'],
  ['a BIOS ROM, nothing assigned', rom(0), factsWith({}, undefined, { kind: 'unknown' }), '0.0.0.0 -'],
  ['iPXE', ipxe, factsWith(), ipxeReply],
  ['iPXE, set to boot', ipxe, factsWith({}, undefined, { ...script, kind: 'boot' }), ipxeReply],
  ['iPXE, TFTP off', ipxe, factsWith({ tftpServer: undefined }), ipxeReply],
  ['iPXE, offline', ipxe, factsWith({}, undefined, { kind: 'offline' }), '0.0.0.0 -'],
  [
    'iPXE without HTTP',
    clientMessage([is('discover'), hex(175, '150101')]),
    factsWith(),
    `${SERVER} undionly.kpxe 66=${SERVER} 67=undionly.kpxe`,
  ],
  [
    'UEFI HTTP Boot',
    http,
    factsWith(),
    `0.0.0.0 http://10.77.0.1:8080/loaders/snponly.efi 60=HTTPClient 67=http://10.77.0.1:8080/loaders/snponly.efi 97=${uuid.data.toString('hex')}`,
  ],
  ['UEFI HTTP Boot, TFTP off', http, factsWith({ tftpServer: undefined }), bootOf(http, factsWith())],
  ['the Debian installer', clientMessage([is('discover'), vendor('d-i')]), factsWith(), '0.0.0.0 -'],
  ['udhcpc', decodeDhcp(capture('udhcpcDiscover')), factsWith(), '0.0.0.0 -'],
  ['dhclient', decodeDhcp(capture('dhclientDiscover')), factsWith(), '0.0.0.0 -'],
];
for (const [name, packet, facts, expected] of boots) {
  test(`${name} boots ${expected}`, (t) => t.is(bootOf(packet, facts), expected));
}

test('a URL too long for the header goes into option 67 alone', (t) => {
  const long = `http://10.77.0.1:8080/${'x'.repeat(200)}`;
  const decision = decide(ipxe, factsWith({}, undefined, { kind: 'osimage', scriptUrl: long }), NOW);
  if (decision.kind !== 'reply') return t.fail(decision.kind);
  t.is(decision.packet.file, '');
  t.is(readText(decision.packet, OPTION.bootFileName), long);
});

test('a reply that would not fit loses its least important options, and never those that matter', (t) => {
  const crowded = parseSubnet(
    {
      network: '10.77.0.0/24',
      server: SERVER,
      routers: [],
      nameServers: Array(40).fill(SERVER) as string[],
      domain: 'd'.repeat(200),
      lease: 60,
      pools: [],
      relays: [],
    },
    'eth1',
  );
  const packet = clientMessage([is('discover'), hex(82, 'aa'.repeat(60))]);
  const decision = decide(packet, factsWith({ subnets: [crowded] }), NOW);
  if (decision.kind !== 'reply') return t.fail(decision.kind);
  const codes = decision.packet.options.map(({ code }) => code);
  t.deepEqual(codes, [53, 54, 51, 1, 6, 12, 82]);
  t.true(encodeDhcp(decision.packet).length <= 548);
  const roomy = decide(
    { ...packet, options: [...packet.options, hex(57, '05dc')] },
    factsWith({ subnets: [crowded] }),
    NOW,
  );
  t.true(roomy.kind === 'reply' && findOption(roomy.packet, OPTION.domainName)?.length === 200);
});
