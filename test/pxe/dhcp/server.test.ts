import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { BROADCAST } from '../../../src/pxe/dhcp/ipv4.js';
import { OPTION, findOption } from '../../../src/pxe/dhcp/options.js';
import { type DhcpPacket, decodeDhcp, encodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { capture } from './captures.js';
import { MAC, chose, clientMessage, hex, is, wants } from './messages.js';
import { CLIENT_SIDE, SERVER_SIDE, type Segment, startPeer } from './segment.js';
import {
  type Heard,
  NODES,
  event,
  here,
  say,
  startClient,
  startDnsmasq,
  startRelay,
  startServer,
  withSegment,
  xid,
} from './serving.js';

/** The standard output of `child` as it comes. `until` throws when it ends, or 20 seconds pass, without a match. */
function outputOf(child: ChildProcess): {
  until(pattern: RegExp): Promise<void>;
  end(): Promise<void>;
  text(): string;
} {
  let text = '';
  let ended = false;
  child.stdout?.on('data', (bytes: Buffer) => (text += bytes.toString()));
  const end = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void end.then(() => (ended = true));
  return {
    end: () => end,
    text: () => text,
    async until(pattern) {
      for (const last = Date.now() + 20_000; !pattern.test(text); await sleep(20)) {
        if (ended || Date.now() > last) throw new Error(`no ${pattern.source} in: ${text}`);
      }
    },
  };
}

/** A udhcpc script that prints what it was told and takes the address. */
const UDHCPC_SCRIPT = `#!/bin/sh
echo "$1 ip=$ip mask=$subnet router=$router dns=$dns host=$hostname domain=$domain lease=$lease file=$boot_file"
case $1 in
bound | renew) ip address replace "$ip/24" dev "$interface" ;;
esac
`;

for (const program of [['udhcpc'], ['busybox', 'udhcpc']]) {
  test.serial(`${program.join(' ')} gets, renews and releases its reservation`, (t) =>
    withSegment(async (segment, dir) => {
      const server = await startServer(segment);
      const script = join(dir, 'script');
      await writeFile(script, UDHCPC_SCRIPT, { mode: 0o755 });
      const client = segment.client.spawn([
        ...program,
        '-f',
        '-R',
        '-t',
        '5',
        '-T',
        '2',
        '-i',
        CLIENT_SIDE.interface,
        '-s',
        script,
      ]);
      const said = outputOf(client);
      t.like(await server.next(event('offer')), {
        node: 'n1',
        mac: MAC,
        address: '10.77.0.11',
        client: 'operating system',
        bootFile: null,
      });
      await said.until(/^bound .*\n/m);
      client.kill('SIGUSR1');
      await said.until(/^renew .*\n/m);
      client.kill('SIGTERM');
      t.like(await server.next(event('released')), { node: 'n1', address: '10.77.0.11' });
      const output = said.text();
      t.regex(
        output,
        /^bound ip=10\.77\.0\.11 mask=255\.255\.255\.0 router=10\.77\.0\.254 dns=10\.77\.0\.1 host=n1 domain=rack\.example lease=3600 file=$/m,
      );
      t.regex(output, /^renew ip=10\.77\.0\.11 /m);
    }),
  );
}

test.serial(
  'dhclient gets its reservation, keeps it over a restart, releases it, and is refused an old one',
  (t) =>
    withSegment(async (segment, dir) => {
      const server = await startServer(segment);
      const script = join(dir, 'script');
      const lease = join(dir, 'leases');
      await writeFile(
        script,
        '#!/bin/sh\necho "$reason ip=$new_ip_address next=$new_next_server file=$new_filename"\n',
        { mode: 0o755 },
      );
      await writeFile(lease, '');
      const files = ['-cf', '/dev/null', '-sf', script, '-lf', lease, '-pf', join(dir, 'pid')];

      // In the foreground (-d) it prints the script's words; it is ended when it has its lease.
      const lasting = async (until: RegExp): Promise<string> => {
        const child = segment.client.spawn(['dhclient', '-4', '-d', '-1', ...files, CLIENT_SIDE.interface]);
        child.stderr?.resume();
        const said = outputOf(child);
        await said.until(until);
        // It writes the lease down after its script has run.
        for (
          let tries = 0;
          !(await readFile(lease, 'utf8')).includes('fixed-address 10.77.0.11');
          tries += 1
        ) {
          if (tries > 500) throw new Error('dhclient wrote no lease');
          await sleep(20);
        }
        child.kill('SIGKILL');
        await said.end();
        return said.text();
      };
      t.regex(await lasting(/^BOUND.*\n/m), /^BOUND ip=10\.77\.0\.11 next=0\.0\.0\.0 file=$/m);
      t.like(await server.next(event('ack')), { node: 'n1' });
      t.regex(await lasting(/^REBOOT.*\n/m), /^REBOOT ip=10\.77\.0\.11 /m);
      t.like(await server.next(event('ack')), { node: 'n1' });
      await segment.client.must('ip', 'address', 'add', '10.77.0.11/24', 'dev', CLIENT_SIDE.interface);
      await segment.client.must('dhclient', '-4', '-r', ...files, CLIENT_SIDE.interface);
      t.like(await server.next(event('released')), { node: 'n1', address: '10.77.0.11' });

      const old = `lease { interface "${CLIENT_SIDE.interface}"; fixed-address 10.77.0.99; option subnet-mask 255.255.255.0;
      renew 2 2037/1/1 00:00:00; rebind 2 2037/1/1 00:00:00; expire 2 2037/1/1 00:00:00; }\n`;
      await writeFile(lease, old);
      t.regex(await lasting(/^BOUND.*\n/m), /^BOUND ip=10\.77\.0\.11 /m);
      t.like(await server.next(event('nak')), { node: 'n1', address: null });
    }),
);

test.serial('dhcpcd gets an address out of a pool, and keeps it over a restart', (t) =>
  withSegment(async (segment, dir) => {
    const site = join(dir, 'site');
    const state = join(dir, 'dhcpcd');
    await mkdir(site);
    await mkdir(state);
    const server = await startServer(segment, {
      site,
      pools: ['10.77.0.20-10.77.0.29'],
      nodes: { [MAC]: { name: 'n1', ip: null } },
    });
    // It keeps its files in fixed places, and leaves helpers behind: both are the test's own in its namespaces.
    const places = `mount --bind ${state} /var/lib/dhcpcd && mount -t tmpfs none /run`;
    const dhcpcd = ['dhcpcd', '-4', '-B', '-1', '-d', '--noarp', '-f', '/dev/null', '-c', '/bin/true'];
    const ask = (...more: string[]): readonly string[] => [
      ...['unshare', '--mount', '--pid', '--fork', 'sh', '-c', `${places} && exec "$@"`, 'sh'],
      ...[...dhcpcd, ...more, CLIENT_SIDE.interface],
    ];
    const got = await segment.client.run(ask(), 30);
    t.regex(got.output, /leased 10\.77\.0\.20 for 3600 seconds/);
    t.like(await server.next(event('ack')), { node: 'n1', address: '10.77.0.20' });
    t.regex((await segment.client.run(ask(), 30)).output, /rebinding lease of 10\.77\.0\.20/);
    t.like(await server.next(event('ack')), { node: 'n1', address: '10.77.0.20' });
  }),
);

test.serial(
  'what does not fit a client’s message is read out of overloaded fields by udhcpc and dhclient',
  (t) =>
    withSegment(async (segment, dir) => {
      const nameServers = Array.from({ length: 50 }, (_, index) => `10.77.0.${index + 1}`);
      const domain = `${'rack.'.repeat(20)}example`;
      await startServer(segment, { nameServers, domain });
      const script = join(dir, 'script');
      await writeFile(script, UDHCPC_SCRIPT, { mode: 0o755 });
      const udhcpc = ['udhcpc', '-f', '-q', '-n', '-i', CLIENT_SIDE.interface, '-s', script];
      const { output } = await segment.client.run(udhcpc);
      t.true(output.includes(` dns=${nameServers.join(' ')} host=n1 domain=${domain} lease=3600 `), output);

      const told = '#!/bin/sh\necho "$reason $new_domain_name $new_domain_name_servers"\n';
      await writeFile(script, told, { mode: 0o755 });
      const files = ['-cf', '/dev/null', '-sf', script, '-lf', join(dir, 'leases'), '-pf', join(dir, 'pid')];
      const dhclient = segment.client.spawn(['dhclient', '-4', '-d', '-1', ...files, CLIENT_SIDE.interface]);
      dhclient.stderr?.resume();
      const said = outputOf(dhclient);
      await said.until(/^BOUND .*\n/m);
      t.true(said.text().includes(`BOUND ${domain} ${nameServers.join(' ')}\n`), said.text());
    }),
);

test.serial('firmware is told what to boot, by broadcast from our address', (t) =>
  withSegment(async (segment) => {
    const nodes = {
      '52:54:00:00:00:01': { name: 'n1', ip: '10.77.0.11' },
      '52:54:00:00:00:02': { name: 'n2', ip: '10.77.0.12' },
    };
    await startServer(segment, { nodes });
    const client = await startClient(segment, '10.77.0.200');
    for (const [name, file] of [
      ['ipxeBiosDiscover', 'http://10.77.0.1:8080/nodes/n1/boot.ipxe'],
      ['ovmfPxeDiscover', 'snponly.efi'],
      ['ovmfHttpDiscover', 'http://10.77.0.1:8080/loaders/snponly.efi'],
    ] as const) {
      const bytes = capture(name);
      client.send({ do: 'send', hex: bytes.toString('hex'), address: BROADCAST, port: 67 });
      const heard = await client.next<Heard>(xid(bytes.readUInt32BE(4)));
      t.like(heard, { via: 'broadcast', from: SERVER_SIDE.address });
      const offer = decodeDhcp(Buffer.from(heard.hex, 'hex'));
      t.is(findOption(offer, OPTION.bootFileName)?.toString(), file);
      t.is(offer.file, file);
    }
  }),
);

test.serial('a relay is answered at its own port, and its information is echoed', (t) =>
  withSegment(async (segment) => {
    await startServer(segment);
    const relay = await startClient(segment, '10.77.0.254', 67);
    const packet = clientMessage([is('discover'), hex(82, '0104cafe0001')], {
      giaddr: '10.77.0.254',
      hops: 1,
      xid: 77,
    });
    say(relay, packet, SERVER_SIDE.address);
    const heard = await relay.next<Heard>(xid(77));
    t.is(heard.via, 'unicast');
    const offer = decodeDhcp(Buffer.from(heard.hex, 'hex'));
    t.like(offer, { giaddr: '10.77.0.254', yiaddr: '10.77.0.11' });
    t.is(offer.options.at(-1)?.data.toString('hex'), '0104cafe0001');
  }),
);

test.serial(
  'unknown nodes, other servers and interfaces that are off get no answer; the next message does',
  (t) =>
    withSegment(async (segment) => {
      const server = await startServer(segment, {
        interfaces: { [SERVER_SIDE.interface]: 'authoritative', [SERVER_SIDE.other]: 'off' },
      });
      const client = await startClient(segment, '10.77.0.200');
      await segment.client.must('ip', 'address', 'add', '10.66.0.200/24', 'dev', CLIENT_SIDE.other);
      const outside = startPeer(segment.client, here('talk-dhcp.js'), ['10.66.0.200']);
      await outside.next<object>((value) => 'up' in value);
      const before = await countSent(segment, SERVER_SIDE.other);

      const stranger = Buffer.from('52540000dead', 'hex');
      say(client, clientMessage([is('discover')], { xid: 1, chaddr: stranger }));
      t.like(await server.next(event('ignored')), {
        reason: 'unknown-node',
        mac: '52:54:00:00:de:ad',
        node: null,
      });
      say(client, clientMessage([is('request'), wants('10.77.0.11'), chose('10.77.0.2')], { xid: 2 }));
      t.like(await server.next(event('ignored')), { reason: 'other-server', node: 'n1' });
      say(outside, clientMessage([is('discover')], { xid: 3 }));
      await server.next(event('offer')); // it left by srv0, where the node belongs
      say(
        client,
        clientMessage([is('decline'), wants('10.77.0.11'), chose(SERVER_SIDE.address)], {
          xid: 4,
          chaddr: stranger,
        }),
      );
      say(client, clientMessage([is('discover')], { xid: 5 }));
      const heard: number[] = [];
      await client.next<Heard>((value) => {
        heard.push(value.xid);
        return value.xid === 5;
      });
      t.false(heard.includes(1) || heard.includes(2) || heard.includes(4));
      t.is(await countSent(segment, SERVER_SIDE.other), before);
    }),
);

test.serial('a proxy offers firmware a boot file beside dnsmasq, which gives the address', (t) =>
  withSegment(async (segment, dir) => {
    await segment.server.must('ip', 'address', 'add', '10.77.0.2/24', 'dev', SERVER_SIDE.interface);
    await startDnsmasq(dir, segment.server);
    const interfaces = { [SERVER_SIDE.interface]: 'proxy' };
    const server = await startServer(segment, { interfaces, server: '10.77.0.2' });
    const client = await startClient(segment, '10.77.0.200');

    const ask = capture('ovmfPxeDiscover');
    Buffer.from(MAC.replaceAll(':', ''), 'hex').copy(ask, 28);
    client.send({ do: 'send', hex: ask.toString('hex'), address: BROADCAST, port: 67 });
    const offers = new Map<string, DhcpPacket>();
    while (offers.size < 2) {
      const heard = await client.next<Heard>(xid(ask.readUInt32BE(4)));
      offers.set(heard.from, decodeDhcp(Buffer.from(heard.hex, 'hex')));
    }
    t.like(offers.get('10.77.0.2'), { yiaddr: '0.0.0.0', siaddr: '10.77.0.2', file: 'snponly.efi' });
    t.regex(offers.get('10.77.0.1')?.yiaddr ?? '', /^10\.77\.0\.1\d\d$/);
    t.like(await server.next(event('proxy')), { node: 'n1', address: null, bootFile: 'snponly.efi' });

    const pxe = [hex(60, Buffer.from('PXEClient').toString('hex')), hex(93, '0007')];
    const question = clientMessage([is('request'), ...pxe], { xid: 9, ciaddr: '10.77.0.200' });
    client.send({ do: 'send', hex: encodeDhcp(question).toString('hex'), address: '10.77.0.2', port: 4011 });
    const answer = await client.next<Heard>(xid(9));
    t.like(answer, { via: 'unicast', from: '10.77.0.2', port: 4011 });
    t.like(decodeDhcp(Buffer.from(answer.hex, 'hex')), { file: 'snponly.efi', ciaddr: '10.77.0.200' });

    // An operating system gets its lease from dnsmasq, and not a word from the proxy.
    const script = join(dir, 'script');
    await writeFile(script, UDHCPC_SCRIPT, { mode: 0o755 });
    const { output } = await segment.client.run([
      ...['udhcpc', '-f', '-q', '-n', '-i', CLIENT_SIDE.interface, '-s', script],
    ]);
    t.regex(output, /^bound ip=10\.77\.0\.1\d\d .* file=$/m);
    t.like(await server.next(event('ignored')), { reason: 'no-boot' });
  }),
);

test.serial('behind dhcrelay, a node is known by its switch port and gets its own network’s address', (t) =>
  withSegment(async (segment, dir) => {
    const relayed = { network: '10.88.0.0/24', server: SERVER_SIDE.address, routers: ['10.88.0.1'] };
    const subnet = { ...relayed, nameServers: [], lease: 600, pools: [], relays: ['10.88.0.1'] };
    const server = await startServer(segment, {
      subnets: [subnet],
      nodes: { port: { name: 'n9', ip: '10.88.0.9' } },
      ports: { [CLIENT_SIDE.other]: 'port' },
    });
    await startRelay(segment);
    const script = join(dir, 'script');
    await writeFile(script, UDHCPC_SCRIPT.replace(/^case[^]*$/m, ''), { mode: 0o755 });
    const { output } = await segment.server.run([
      ...['udhcpc', '-f', '-q', '-n', '-t', '10', '-i', SERVER_SIDE.other, '-s', script],
    ]);
    t.regex(output, /^bound ip=10\.88\.0\.9 mask=255\.255\.255\.0 router=10\.88\.0\.1 .* lease=600 /m);
    t.like(await server.next(event('ack')), { node: 'n9', address: '10.88.0.9' });
  }),
);

/** How many packets have left by the server's `interface`. */
async function countSent(segment: Segment, name: string): Promise<number> {
  const { output } = await segment.server.run(['cat', '/proc/net/dev']);
  const line = output.split('\n').find((text) => text.trim().startsWith(`${name}:`));
  return Number(line?.trim().split(/[\s:]+/)[10]);
}

test.serial('nodes without a reservation get addresses out of a pool, which last over a restart', (t) =>
  withSegment(async (segment, dir) => {
    const site = join(dir, 'site');
    await mkdir(site);
    const pooled = {
      site,
      pools: ['10.77.0.20-10.77.0.21'],
      lease: 600,
      nodes: {
        [MAC]: { name: 'n1', ip: null },
        '52:54:00:00:00:08': { name: 'n2', ip: null },
        '52:54:00:00:00:09': { name: 'n3', ip: null },
      },
    };
    const first = await startServer(segment, pooled);
    const script = join(dir, 'script');
    await writeFile(script, UDHCPC_SCRIPT, { mode: 0o755 });
    const udhcpc = ['udhcpc', '-f', '-q', '-n', '-i', CLIENT_SIDE.interface, '-s', script];
    t.regex((await segment.client.run(udhcpc)).output, /^bound ip=10\.77\.0\.20 .* lease=600 /m);
    t.like(await first.next(event('ack')), { node: 'n1', address: '10.77.0.20' });

    const client = await startClient(segment, '10.77.0.200');
    const from = (last: string): Buffer => Buffer.from(`5254000000${last}`, 'hex');
    say(client, clientMessage([is('discover')], { xid: 8, chaddr: from('08') }));
    t.like(await first.next(event('offer')), { node: 'n2', address: '10.77.0.21' });
    say(client, clientMessage([is('discover')], { xid: 9, chaddr: from('09') }));
    t.like(await first.next(event('ignored')), { node: 'n3', reason: 'no-reservation' });
    say(client, clientMessage([is('discover')], { xid: 10, chaddr: from('0a') }));
    t.like(await first.next<{ stranger?: object }>((value) => 'stranger' in value), {
      stranger: { mac: '52:54:00:00:00:0a', client: 'operating system' },
    });

    first.child.kill('SIGKILL');
    await once(first.child, 'close');
    const second = await startServer(segment, pooled);
    say(client, clientMessage([is('request'), wants('10.77.0.20')], { xid: 11 }));
    t.like(await second.next(event('ack')), { node: 'n1', address: '10.77.0.20' });
    const two = clientMessage([is('request'), wants('10.77.0.20')], { xid: 12, chaddr: from('08') });
    say(client, two);
    t.like(await second.next(event('nak')), { node: 'n2' });
    const mine = [is('decline'), wants('10.77.0.21'), chose(SERVER_SIDE.address)];
    say(client, clientMessage([is('discover')], { xid: 13, chaddr: from('08') }));
    say(client, clientMessage([is('request'), wants('10.77.0.21')], { xid: 14, chaddr: from('08') }));
    t.like(await second.next(event('ack')), { node: 'n2', address: '10.77.0.21' });
    say(client, clientMessage(mine, { xid: 15, chaddr: from('08') }));
    t.like(await second.next(event('declined')), { node: 'n2', address: '10.77.0.21' });
    const back = [is('release'), chose(SERVER_SIDE.address)];
    say(client, clientMessage(back, { xid: 16, ciaddr: '10.77.0.20' }), SERVER_SIDE.address);
    t.like(await second.next(event('released')), { node: 'n1', address: '10.77.0.20' });
    say(client, clientMessage([is('discover')], { xid: 17, chaddr: from('08') }));
    t.like(await second.next(event('offer')), { node: 'n2', address: '10.77.0.20' });
  }),
);

test.serial(
  'two servers that share a database give a node one address, and each renews what the other gave',
  (t) =>
    withSegment(async (segment, dir) => {
      const site = join(dir, 'site');
      await mkdir(site);
      await segment.server.must('ip', 'address', 'add', '10.77.0.2/24', 'dev', SERVER_SIDE.interface);
      const other = Buffer.from('525400000008', 'hex');
      const pooled = {
        site,
        pools: ['10.77.0.20-10.77.0.29'],
        nodes: { [MAC]: { name: 'n1', ip: null }, '52:54:00:00:00:08': { name: 'n2', ip: null } },
      };
      const servers = [
        await startServer(segment, { ...pooled, server: '10.77.0.1' }),
        await startServer(segment, { ...pooled, server: '10.77.0.2' }),
      ] as const;
      const client = await startClient(segment, '10.77.0.200');
      const given: (string | null)[] = [];
      for (const packet of [
        clientMessage([is('discover')], { xid: 1 }),
        clientMessage([is('discover')], { xid: 2, chaddr: other }),
      ]) {
        say(client, packet);
        const offers = await Promise.all(servers.map((server) => server.next(event('offer'))));
        t.is(offers[0]?.address, offers[1]?.address);
        given.push(offers[0]?.address ?? null);
      }
      t.deepEqual(given.toSorted(), ['10.77.0.20', '10.77.0.21']);
      const address = given[0] ?? '';
      say(client, clientMessage([is('request'), wants(address), chose('10.77.0.2')], { xid: 3 }));
      t.like(await servers[1].next(event('ack')), { node: 'n1', address });
      t.like(await servers[0].next(event('ignored')), { node: 'n1', reason: 'other-server' });
      say(client, clientMessage([is('request')], { xid: 4, ciaddr: address })); // rebinding
      for (const server of servers) t.like(await server.next(event('ack')), { node: 'n1', address });
    }),
);

test.serial('a declined address is not offered again at once', (t) =>
  withSegment(async (segment) => {
    const server = await startServer(segment);
    const client = await startClient(segment, '10.77.0.200');
    say(client, clientMessage([is('decline'), wants('10.77.0.11'), chose(SERVER_SIDE.address)]));
    t.like(await server.next(event('declined')), { node: 'n1', address: '10.77.0.11' });
    say(client, clientMessage([is('discover')]));
    t.like(await server.next(event('ignored')), { reason: 'address-held', node: 'n1' });
  }),
);

const refusals: readonly [name: string, settings: object, code: string, message: RegExp][] = [
  ['an interface that is not there', { interfaces: { eth9: 'authoritative' } }, 'NO_INTERFACE', /eth9.*srv0/],
  [
    'an interface without a subnet',
    { interfaces: { srv1: 'authoritative' } },
    'NO_SUBNET',
    /srv1.*10\.66\.0\.1/,
  ],
];
for (const [name, settings, code, message] of refusals) {
  test.serial(`${name} is refused in one line`, (t) =>
    withSegment(async (segment) => {
      const all = { server: SERVER_SIDE.address, nodes: NODES, ...settings };
      const server = startPeer(segment.server, here('serve-dhcp.js'), [JSON.stringify(all)]);
      const { error } = await server.next<{ error: { name: string; code: string; message: string } }>(
        (value) => 'error' in value,
      );
      t.like(error, { name: 'PxeError', code });
      t.regex(error.message, message);
      t.notRegex(error.message, /\n/);
    }),
  );
}

test.serial('a port in use is refused in one line, and every interface off needs no port', (t) =>
  withSegment(async (segment) => {
    await startServer(segment);
    const settings = { interfaces: { srv0: 'authoritative' }, server: SERVER_SIDE.address, nodes: NODES };
    const second = startPeer(segment.server, here('serve-dhcp.js'), [JSON.stringify(settings)]);
    const { error } = await second.next<{ error: { code: string; message: string } }>(
      (value) => 'error' in value,
    );
    t.is(error.code, 'PORT_IN_USE');
    t.regex(error.message, /^DHCP, 10\.77\.0\.1 port 67: .*ss -lunp/);
    await t.notThrowsAsync(startServer(segment, { interfaces: { srv0: 'off' } }));
  }),
);

test.serial('without the right to the port, one line says so', (t) =>
  withSegment(async (segment) => {
    const settings = { interfaces: { srv0: 'authoritative' }, server: SERVER_SIDE.address, nodes: NODES };
    const drop = ['setpriv', '--bounding-set', '-net_bind_service', '--inh-caps', '-net_bind_service'];
    const server = startPeer(segment.server, here('serve-dhcp.js'), [JSON.stringify(settings)], drop);
    const { error } = await server.next<{ error: { code: string; message: string } }>(
      (value) => 'error' in value,
    );
    t.is(error.code, 'NO_RIGHTS');
    t.regex(error.message, /CAP_NET_BIND_SERVICE/);
  }),
);
