import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { KnownNode } from '../../../src/pxe/dhcp/facts.js';
import { Pools, type PoolQuestion } from '../../../src/pxe/dhcp/pools.js';
import { decide } from '../../../src/pxe/dhcp/decide.js';
import { parseSubnet } from '../../../src/pxe/dhcp/subnets.js';
import { defaultConfig, siteConfigSchema } from '../../../src/site/config.js';
import { DHCP_LIMITS } from '../../../src/site/limits-config.js';
import { siteAt } from '../../../src/site/site.js';
import { openStore } from '../../../src/store/store.js';
import { MAC, chose, clientMessage, hex, is, wants } from './messages.js';
import { SERVER_SIDE } from './segment.js';
import { type Heard, event, say, startClient, startServer, withSegment, xid } from './serving.js';

const subnet = parseSubnet(
  siteConfigSchema.parse({
    dhcp: {
      subnets: [{ network: '10.77.0.0/24', server: '10.77.0.1', pools: ['10.77.0.100-10.77.0.119'] }],
    },
  }).dhcp.subnets[0] ?? (undefined as never),
  'eth1',
);
const intent = { kind: 'offline' } as const;

test('who claims a node’s UUID or switch port by many MAC addresses takes a few addresses, not the pool', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-dhcp-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const store = await openStore(siteAt(dir, defaultConfig()));
  t.teardown(() => store.close());
  const pools = new Pools(store.addresses, { offerMs: 60_000, addressesPerNode: 8 });
  const facts = {
    ...{ subnets: [subnet], heldUntil: undefined, tftpServer: undefined, httpUrl: 'http://x', loaders: {} },
  };
  const asking = (at: number, node: KnownNode, group = 'aa'): PoolQuestion => {
    const chaddr = Buffer.from(`5254000${group}0`.padEnd(10, '0') + at.toString(16).padStart(2, '0'), 'hex');
    const mac = chaddr.toString('hex').replace(/..\B/g, '$&:');
    return { packet: clientMessage([is('discover')], { chaddr }), mac, node, subnets: [subnet] };
  };
  const ask = async (questions: readonly PoolQuestion[]): Promise<readonly string[]> => {
    const { answers } = await pools.answer(
      questions,
      1000,
      (packet, seat) => decide(packet, { ...facts, node: seat.node }, 1000),
      () => true,
    );
    return answers.flatMap((answer) =>
      answer.kind === 'decided'
        ? answer.decisions.flatMap((decision) =>
            decision.kind === 'reply' && decision.address !== null ? [decision.address] : [],
          )
        : [],
    );
  };
  const guessed: KnownNode = { name: 'n1', ip: null, intent, isByMac: false };
  const together = await ask(Array.from({ length: 40 }, (_, at) => asking(at, guessed)));
  t.is(new Set(together).size, 8);
  const later: string[] = [];
  for (let at = 40; at < 60; at += 1) later.push(...(await ask([asking(at, guessed)])));
  t.deepEqual(later, []);
  // One that had an address keeps it, and another node still gets one.
  t.is((await ask([asking(0, guessed)])).length, 1);
  const other: KnownNode = { name: 'n2', ip: null, intent };
  t.is((await ask([asking(1, other, 'bb')])).length, 1);
});

test.serial('a flood of strangers costs no memory and few lines, and a node is served meanwhile', (t) => {
  t.timeout(120_000);
  return withSegment(async (segment, dir) => {
    const site = join(dir, 'site');
    await mkdir(site);
    const server = await startServer(segment, { site });
    const flooder = await startClient(segment, '10.77.0.201');
    const client = await startClient(segment, '10.77.0.200', 67);
    const flood = async (count: number): Promise<void> => {
      flooder.send({ do: 'flood', count, server: SERVER_SIDE.address });
      await flooder.next<{ flooded?: number }>(({ flooded }) => flooded === count, 60);
    };
    const residentMiB = async (): Promise<number> => {
      const status = await readFile(`/proc/${server.child.pid ?? 0}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
    };
    await flood(20_000);
    const before = await residentMiB();
    const flooding = flood(60_000);
    for (let number = 1; number <= 5; number += 1) {
      for (let tries = 0; ; tries += 1) {
        const packet = clientMessage([is('discover')], { xid: 900 + number, giaddr: '10.77.0.200' });
        say(client, packet, SERVER_SIDE.address);
        const heard = await client.next<Heard>(xid(900 + number), 1).catch(() => undefined);
        if (heard !== undefined) break;
        if (tries > 30) t.fail('a good client got no answer in thirty seconds');
      }
    }
    await flooding;
    const grown = (await residentMiB()) - before;
    t.true(grown < 48, `${grown} MiB more`);
    // What was told of strangers is bounded by their rate, not by their number.
    // The last message, until it is heard: the first may come while there is no room.
    const decline = clientMessage([is('decline'), wants('10.77.0.11'), chose(SERVER_SIDE.address)]);
    const saying = setInterval(() => say(flooder, decline), 250);
    t.teardown(() => clearInterval(saying));
    let told = 0;
    let recorded = 0;
    await server.next<{ kind?: string; reason?: string; stranger?: object }>(({ kind, reason, stranger }) => {
      if (reason === 'unknown-node') told += 1;
      if (stranger !== undefined) recorded += 1;
      return kind === 'declined';
    }, 60);
    clearInterval(saying);
    const most = 140 * DHCP_LIMITS.strangersPerSecond.usual;
    t.true(told > 0 && told < most, `${told} lines`);
    t.true(recorded > 0 && recorded < most, `${recorded} strangers written down`);
  });
});

test.serial('option 82 is nobody’s word unless a relay of the network sent it', (t) =>
  withSegment(async (segment) => {
    const relayed = { network: '10.88.0.0/24', server: SERVER_SIDE.address, routers: [], nameServers: [] };
    const server = await startServer(segment, {
      subnets: [{ ...relayed, lease: 600, pools: [], relays: ['10.88.0.1'] }],
      nodes: { [MAC]: { name: 'n1', ip: '10.88.0.9' } },
      ports: { 'sw1/7': MAC },
    });
    const client = await startClient(segment, '10.77.0.200');
    const chaddr = Buffer.from('525400aabbcc', 'hex');
    const word = hex(82, '0101370203737731');
    const spoofed = [
      { giaddr: '0.0.0.0', to: '255.255.255.255' }, // the client’s own
      { giaddr: '10.88.0.1', to: '255.255.255.255' }, // no relay broadcasts to a server’s wire
      { giaddr: '10.88.0.66', to: SERVER_SIDE.address }, // no relay of ours
      { giaddr: '10.99.0.1', to: SERVER_SIDE.address }, // of no network of ours
    ];
    for (const { giaddr, to } of spoofed) {
      say(client, clientMessage([is('discover'), word], { giaddr, chaddr }), to);
      const told = await server.next<object>(event('ignored'));
      const mac = chaddr.toString('hex').replace(/..\B/g, '$&:');
      t.like(told, { mac, node: null, reason: 'unknown-node' }, giaddr);
      // The next one is another machine, as each is told of once a minute.
      chaddr[5] = (chaddr[5] ?? 0) + 1;
    }
    say(client, clientMessage([is('discover'), word], { giaddr: '10.88.0.1', chaddr }), SERVER_SIDE.address);
    t.like(await server.next(event('offer')), { node: 'n1', address: '10.88.0.9' });
  }),
);
