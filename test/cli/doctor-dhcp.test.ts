import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { DhcpEvent } from '../../src/pxe/dhcp/event.js';
import type { Diagnosis } from '../../src/pxe/dhcp/diagnose.js';
import { BROADCAST } from '../../src/pxe/dhcp/ipv4.js';
import { capture } from '../pxe/dhcp/captures.js';
import { MAC } from '../pxe/dhcp/messages.js';
import { CLIENT_SIDE, type Namespace, type Peer, SERVER_SIDE, type Segment } from '../pxe/dhcp/segment.js';
import {
  event,
  startClient,
  startDnsmasq,
  startRelay,
  startServer,
  withSegment,
} from '../pxe/dhcp/serving.js';
import { Wire } from '../pxe/dhcp/wire.js';
import { runCommand } from './in-process.js';

const OTHER = '52:54:00:00:00:08';

/** What UEFI firmware asked on another wire, from the test's node. */
function firmwareAsks(client: Peer, times: number): void {
  const ask = capture('ovmfPxeDiscover');
  Buffer.from(MAC.replaceAll(':', ''), 'hex').copy(ask, 28);
  for (let count = 0; count < times; count += 1)
    client.send({ do: 'send', hex: ask.toString('hex'), address: BROADCAST, port: 67 });
}

async function udhcpc(machine: Namespace): Promise<void> {
  await machine.run([
    'udhcpc',
    '-B',
    '-f',
    '-q',
    '-n',
    '-t',
    '3',
    '-T',
    '1',
    '-i',
    CLIENT_SIDE.interface,
    '-s',
    '/bin/true',
  ]);
}

/** What became of a wire: real servers and relays on it, who asks, until when, and what doctor finds. */
interface Scene {
  readonly name: string;
  readonly play: (segment: Segment, dir: string) => Promise<void>;
  readonly mac?: string; // of who asks
  readonly seen: RegExp; // in the story of the client, when it is over
  readonly finds: readonly Diagnosis['findings'][number]['kind'][];
  readonly says: readonly RegExp[];
}

const scenes: readonly Scene[] = [
  {
    name: 'rackboot and dnsmasq both give addresses',
    async play(segment, dir) {
      const machine = await segment.join('52:54:00:00:00:03');
      await machine.must('ip', 'address', 'add', '10.77.0.3/24', 'dev', CLIENT_SIDE.interface);
      await startDnsmasq(dir, machine, CLIENT_SIDE.interface);
      await startServer(segment, { nodes: { [OTHER]: { name: 'n1', ip: '10.77.0.11' } } });
      await udhcpc(await segment.join(OTHER));
    },
    seen: /offer .*offer /,
    mac: OTHER,
    finds: ['two-servers'],
    says: [
      /2 servers offered it an address: /,
      /10\.77\.0\.1 \(10\.77\.0\.11, no boot file\)/,
      /→ let one server give addresses/,
    ],
  },
  {
    name: 'a ROM takes no notice of the proxy beside dnsmasq',
    async play(segment, dir) {
      await segment.server.must('ip', 'address', 'add', '10.77.0.2/24', 'dev', SERVER_SIDE.interface);
      await startDnsmasq(dir, segment.server);
      const interfaces = { [SERVER_SIDE.interface]: 'proxy' };
      const server = await startServer(segment, { interfaces, server: '10.77.0.2' });
      firmwareAsks(await startClient(segment, '10.77.0.200'), 4);
      await server.next<DhcpEvent>(event('proxy'));
    },
    seen: /discover.*discover.*discover.*discover.*offer 10\.77\.0\.1\d\d/,
    finds: ['ignores-proxy'],
    says: [
      /UEFI x64/,
      /took neither 10\.77\.0\.1, who offers an address, nor the proxy 10\.77\.0\.2/,
      /→ have the server that gives the address name the boot file too/,
    ],
  },
  {
    name: 'nobody answers, and no relay passes it on',
    play: (segment) => udhcpc(segment.client),
    seen: /discover, discover, discover/,
    finds: ['no-answer'],
    says: [
      /asked 3 times and nobody answered; no relay passed it on/,
      /from another network, set up a relay/,
    ],
  },
  {
    name: 'dhcrelay passes it on to a server that does not know the relay',
    async play(segment) {
      await startRelay(segment);
      await startServer(segment);
      await segment.server.must('ip', 'link', 'set', SERVER_SIDE.other, 'address', MAC);
      const words = ['-f', '-q', '-n', '-t', '2', '-T', '1', '-i', SERVER_SIDE.other, '-s', '/bin/true'];
      await segment.server.run(['udhcpc', ...words]);
    },
    seen: /discover, discover/,
    finds: ['relay-unanswered'],
    says: [
      /although the relay 10\.88\.0\.1 passed it on/,
      /→ give that relay’s network an entry in dhcp\.subnets/,
    ],
  },
  {
    name: 'all is well',
    async play(segment) {
      await startServer(segment);
      await udhcpc(segment.client);
    },
    seen: /ack 10\.77\.0\.11/,
    finds: ['served'],
    says: [/10\.77\.0\.11 from 10\.77\.0\.1, no boot file/],
  },
];

for (const { name, play, mac = MAC, seen, finds, says } of scenes) {
  test.serial(`doctor dhcp explains a capture: ${name}`, (t) =>
    withSegment(async (segment, dir) => {
      await mkdir(join(dir, 'seen'));
      const pcap = join(dir, 'seen', 'wire.pcap');
      const wire = await Wire.watch(segment, pcap);
      await play(segment, dir);
      await wire.until(mac, seen);
      const told = await runCommand(['--json', 'doctor', 'dhcp', '--pcap', pcap]);
      const { clients } = JSON.parse(told.out) as { clients: readonly Diagnosis[] };
      const own = clients.filter((client) => client.mac === mac);
      t.deepEqual(
        own.flatMap(({ findings }) => findings.map(({ kind }) => kind)),
        [...finds],
      );
      t.is(told.status, finds[0] === 'served' ? 0 : 1);
      const { out } = await runCommand(['doctor', 'dhcp', '--pcap', pcap]);
      for (const line of says) t.regex(out, line);
    }),
  );
}

for (const [what, bytes, message] of [
  ['no file', undefined, /x\.pcap: no such file; give a file that tcpdump -w wrote\.$/m],
  ['an empty file', '', /x\.pcap: it is no pcap file; capture one with tcpdump -w\.$/m],
  ['a text', 'this is a text that is long enough for a header', /x\.pcap: it is no pcap file; /],
] as const) {
  test(`doctor dhcp refuses ${what} in one line that names it`, async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'rackboot-pcap-'));
    t.teardown(() => rm(dir, { recursive: true }));
    if (bytes !== undefined) await writeFile(join(dir, 'x.pcap'), bytes);
    const { status, out, err } = await runCommand(['doctor', 'dhcp', '--pcap', join(dir, 'x.pcap')]);
    t.is(status, 1);
    t.is(out, '');
    t.regex(err, message);
    t.is(err.trimEnd().split('\n').length, 1);
  });
}
