import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { probeAddress } from '../../../src/pxe/dhcp/arping.js';
import { Probes } from '../../../src/pxe/dhcp/probes.js';
import { clientMessage, is } from './messages.js';
import { CLIENT_SIDE, SERVER_SIDE } from './segment.js';
import { event, say, startClient, startServer, withSegment } from './serving.js';

const limits = { atOnce: 32, waiting: 512, freshMs: 60_000 };
const target = { address: '10.77.0.20', interface: 'eth1', isOnLink: true };

test('a look is remembered as long as an offer lasts, and runs once for all who ask', async (t) => {
  let looks = 0;
  let answer = (_found: string | undefined): void => undefined;
  const probes = new Probes(() => {
    looks += 1;
    return new Promise((resolve) => (answer = resolve));
  }, limits);
  const both = [probes.look(target, 'a', 1000), probes.look(target, 'a', 1000)];
  await Promise.resolve();
  t.false(probes.isFree('10.77.0.20', 'a', 1000));
  answer(undefined);
  t.deepEqual(await Promise.all(both), [undefined, undefined]);
  t.is(looks, 1);
  t.true(probes.isFree('10.77.0.20', 'a', 1000 + limits.freshMs - 1));
  t.false(probes.isFree('10.77.0.20', 'a', 1000 + limits.freshMs));
  t.false(probes.isFree('10.77.0.20', 'b', 1000));
});

test('so many are looked at, so many wait, and then it is full until one has ended', async (t) => {
  const running: (() => void)[] = [];
  const probes = new Probes(() => new Promise((resolve) => running.push(() => resolve(undefined))), {
    ...limits,
    atOnce: 2,
    waiting: 3,
  });
  const looks: Promise<unknown>[] = [];
  const fullAfter: boolean[] = [];
  for (let at = 0; at < 5; at += 1) {
    looks.push(probes.look({ ...target, address: `10.77.0.${20 + at}` }, 'a', 0));
    await new Promise((resolve) => setImmediate(resolve));
    fullAfter.push(probes.isFull);
  }
  t.deepEqual(fullAfter, [false, false, false, false, true]);
  t.is(running.length, 2);
  for (let ended = 0; ended < looks.length; ended += 1) {
    running[ended]?.();
    await looks[ended];
    await new Promise((resolve) => setImmediate(resolve));
    t.false(probes.isFull);
  }
});

test('a machine that answers at its own address is nobody else', async (t) => {
  const probes = new Probes(async () => '52:54:00:00:00:07', limits);
  t.is(await probes.look(target, '52:54:00:00:00:08', 0), '52:54:00:00:00:07');
  t.false(probes.isFree('10.77.0.20', '52:54:00:00:00:08', 0));
  t.is(await probes.look(target, '52:54:00:00:00:07', 0), undefined);
});

test('what cannot be looked at is said, with the mend', async (t) => {
  const error = await t.throwsAsync(probeAddress({ ...target, interface: 'rackboot9' }), {
    name: 'PxeError',
    code: 'NO_PROBE',
  });
  t.regex(error.message, /^arping cannot look for machines at 10\.77\.0\.20: [^\n]+ Install iputils-arping/);
});

test.serial(
  'an address of a pool where another machine is goes to nobody: by ARP, and by ICMP behind a relay',
  (t) =>
    withSegment(async (segment, dir) => {
      const site = join(dir, 'site');
      await mkdir(site);
      const relayed = { network: '10.88.0.0/24', server: SERVER_SIDE.address, routers: [], nameServers: [] };
      const server = await startServer(segment, {
        site,
        probe: true,
        pools: ['10.77.0.20-10.77.0.29'],
        subnets: [{ ...relayed, lease: 600, pools: ['10.88.0.20-10.88.0.29'], relays: ['10.77.0.254'] }],
        nodes: {
          '52:54:00:00:00:08': { name: 'n1', ip: null },
          '52:54:00:00:00:09': { name: 'n2', ip: null },
        },
      });
      const from = (last: string): Buffer => Buffer.from(`5254000000${last}`, 'hex');
      const client = await startClient(segment, '10.77.0.20'); // by hand, and not the node that asks
      say(client, clientMessage([is('discover')], { xid: 1, chaddr: from('08') }));
      const declined = await server.next<{ detail: string }>(event('declined'));
      t.like(declined, { node: 'n1', address: '10.77.0.20' });
      t.regex(declined.detail, new RegExp(`^${CLIENT_SIDE.mac} is at 10\\.77\\.0\\.20 already; find it`));
      t.like(await server.next(event('offer')), { node: 'n1', address: '10.77.0.21' });

      for (const words of [
        ['address', 'add', '10.77.0.254/24', 'dev', CLIENT_SIDE.interface],
        ['address', 'add', '10.88.0.20/32', 'dev', 'lo'],
      ])
        await segment.client.must('ip', ...words);
      await segment.server.must('ip', 'route', 'add', '10.88.0.0/24', 'via', '10.77.0.254');
      const relay = clientMessage([is('discover')], {
        xid: 2,
        chaddr: from('09'),
        giaddr: '10.77.0.254',
        hops: 1,
      });
      // Its relay's address is in the first network: link selection says which one is meant (RFC 3527).
      const options = [...relay.options, { code: 82, data: Buffer.from('05040a580000', 'hex') }];
      say(client, { ...relay, options }, SERVER_SIDE.address);
      t.like(await server.next(event('declined')), { node: 'n2', address: '10.88.0.20' });
      t.like(await server.next(event('offer')), { node: 'n2', address: '10.88.0.21' });
    }),
);
