import test from 'ava';
import { readCapture } from '../../../src/pxe/dhcp/capture.js';
import { diagnose } from '../../../src/pxe/dhcp/diagnose.js';
import { OPTION, addressOption, secondsOption, textOption } from '../../../src/pxe/dhcp/options.js';
import { BOOTREPLY, type DhcpOption, type DhcpPacket } from '../../../src/pxe/dhcp/packet.js';
import { MAC, arch, chose, clientMessage, is, vendor, wants } from './messages.js';
import { type Sent, ipPacket, pcapFile } from './pcap-file.js';

const rom = [vendor('PXEClient:Arch:00000:UNDI:002001'), arch(0)];
const http = [vendor('HTTPClient:Arch:00016:UNDI:003001'), arch(16)];
const from68 = { from: '0.0.0.0:68', to: '255.255.255.255:67' };

const ask = (type: Parameters<typeof is>[0], ...options: DhcpOption[]): Sent => ({
  ...from68,
  packet: clientMessage([is(type), ...options]),
});
const relayed = (sent: Sent, giaddr: string): Sent => ({
  from: `${giaddr}:67`,
  to: '10.77.0.1:67',
  packet: { ...sent.packet, giaddr, hops: 1 },
});
function tell(
  type: 'offer' | 'ack' | 'nak',
  server: string,
  fields: Partial<DhcpPacket>,
  ...options: DhcpOption[]
): Sent {
  const head = [is(type), addressOption(OPTION.serverIdentifier, [server])];
  const packet = clientMessage([...head, ...options], { op: BOOTREPLY, ...fields });
  return { from: `${server}:67`, to: '255.255.255.255:68', packet };
}
const lease = secondsOption(OPTION.leaseTime, 3600);
const file = (name: string): DhcpOption => textOption(OPTION.bootFileName, name);
const giving = { yiaddr: '10.77.0.50' };
const A = '10.77.0.1';
const B = '10.77.0.2';

const stories: readonly [name: string, sent: readonly Sent[], findings: readonly (string | RegExp)[]][] = [
  [
    'nobody answers',
    [ask('discover', ...rom), ask('discover', ...rom)],
    ['no-answer', /asked 2 times .* no relay passed it on/],
  ],
  [
    'a client asks by plain BOOTP',
    [{ ...from68, packet: clientMessage([]) }],
    ['bootp', /plain BOOTP, which rackboot answers for nodes with an address/],
  ],
  [
    'a relay passes it on, and nobody answers',
    [ask('discover', ...rom), relayed(ask('discover', ...rom), '10.88.0.1')],
    ['relay-unanswered', /asked once .* the relay 10\.88\.0\.1/],
  ],
  [
    'two servers give addresses',
    [
      ask('discover', ...rom),
      tell('offer', A, giving, lease, file('x.kpxe')),
      tell('offer', B, { yiaddr: '10.77.0.99' }, lease),
      ask('request', ...rom, wants('10.77.0.99'), chose(B)),
      tell('ack', B, { yiaddr: '10.77.0.99' }, lease),
    ],
    [
      'two-servers',
      /10\.77\.0\.1 \(10\.77\.0\.50, x\.kpxe\) and 10\.77\.0\.2 \(10\.77\.0\.99, no boot file\); it took 10\.77\.0\.2$/,
    ],
  ],
  [
    'a ROM that puts no two offers together',
    [
      ask('discover', ...rom),
      tell('offer', A, giving, lease),
      tell('offer', B, {}, vendor('PXEClient'), file('undionly.kpxe')),
      ask('discover', ...rom),
      ask('discover', ...rom),
      ask('discover', ...rom),
    ],
    ['ignores-proxy', /asked 4 times and took neither 10\.77\.0\.1, .* nor the proxy 10\.77\.0\.2/],
  ],
  [
    'a proxy alone',
    [ask('discover', ...rom), tell('offer', B, {}, vendor('PXEClient'), file('undionly.kpxe'))],
    ['proxy-alone', /only the proxy 10\.77\.0\.2/],
  ],
  [
    'offers that do not arrive',
    [ask('discover'), tell('offer', A, giving, lease), ask('discover'), tell('offer', A, giving, lease)],
    ['offers-not-taken', /never took what 10\.77\.0\.1 offered/],
  ],
  [
    'an address and no boot file',
    [
      ask('discover', ...rom),
      tell('offer', A, giving, lease),
      ask('request', ...rom, wants('10.77.0.50'), chose(A)),
      tell('ack', A, giving, lease),
    ],
    ['no-boot-file', /10\.77\.0\.1 gave an address and nobody a boot file/],
  ],
  [
    'an offer for HTTP Boot without its class',
    [
      ask('discover', ...http),
      tell('offer', A, giving, lease, file('http://10.77.0.1/x.efi')),
      ask('request', ...http, wants('10.77.0.50'), chose(A)),
      tell('ack', A, giving, lease, file('http://10.77.0.1/x.efi')),
    ],
    ['wrong-class', /without option 60 HTTPClient/],
  ],
  [
    'a refusal',
    [ask('request', wants('10.77.0.50')), tell('nak', A, {}, textOption(OPTION.message, 'not\nyours'))],
    ['refused', /10\.77\.0\.1 refused .*: not\?yours$/],
  ],
  [
    'an address in use',
    [
      ask('discover'),
      tell('offer', A, giving, lease),
      ask('request', wants('10.77.0.50'), chose(A)),
      tell('ack', A, giving, lease),
      ask('decline', wants('10.77.0.50'), chose(A)),
    ],
    ['conflict', /10\.77\.0\.50 in use/],
  ],
  [
    'all is well, beside a proxy',
    [
      ask('discover', ...rom),
      tell('offer', A, giving, lease),
      tell('offer', B, {}, vendor('PXEClient'), file('undionly.kpxe')),
      ask('request', ...rom, wants('10.77.0.50'), chose(A)),
      tell('ack', A, giving, lease),
      { ...ask('request', ...rom), from: '10.77.0.50:4011', to: '10.77.0.2:4011' },
      { ...tell('ack', B, {}, file('undionly.kpxe')), from: '10.77.0.2:4011', to: '10.77.0.50:4011' },
    ],
    [
      'served',
      /^10\.77\.0\.50 from 10\.77\.0\.1, boot file undionly\.kpxe from the proxy 10\.77\.0\.2, asked for at port 4011$/,
    ],
  ],
  [
    'an operating system is served',
    [
      ask('discover'),
      tell('offer', A, giving, lease),
      ask('request', wants('10.77.0.50'), chose(A)),
      tell('ack', A, giving, lease),
    ],
    ['served', /^10\.77\.0\.50 from 10\.77\.0\.1, no boot file$/],
  ],
  ['only a release', [ask('release')], []],
];
for (const [name, sent, [kind, what]] of stories) {
  test(name, (t) => {
    const { sightings } = readCapture(pcapFile(sent.map(ipPacket)));
    t.is(sightings.length, sent.length);
    const diagnoses = diagnose(sightings);
    t.deepEqual(
      diagnoses.map(({ mac }) => mac),
      [MAC],
    );
    const findings = diagnoses[0]?.findings ?? [];
    t.deepEqual(
      findings.map((finding) => finding.kind as string),
      kind === undefined ? [] : [kind],
    );
    for (const finding of findings) {
      t.regex(finding.what, what as RegExp);
      t.is(finding.mend === null, finding.kind === 'served');
      t.notRegex(`${finding.what}${finding.mend ?? ''}`, /\n/);
    }
  });
}

test('each client has its own story', (t) => {
  const other: Sent = {
    ...from68,
    packet: clientMessage([is('discover')], { chaddr: Buffer.from('525400000008', 'hex') }),
  };
  const { sightings } = readCapture(pcapFile([ask('discover'), other, ask('discover')].map(ipPacket)));
  t.deepEqual(
    diagnose(sightings).map(({ mac, findings }) => `${mac} ${findings[0]?.what ?? ''}`),
    [
      `${MAC} it asked 2 times and nobody answered; no relay passed it on either`,
      '52:54:00:00:00:08 it asked once and nobody answered; no relay passed it on either',
    ],
  );
});
