import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { parseNode } from '../../../src/node/nodes.js';
import { readCapture } from '../../../src/pxe/dhcp/capture.js';
import { OPTION, readAddress, readMessageType } from '../../../src/pxe/dhcp/options.js';
import { decodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { packageRoot } from '../../../src/site/assets.js';
import { configFile, openSite } from '../../../src/site/site.js';
import type { Store } from '../../../src/store/records.js';
import { openStore } from '../../../src/store/store.js';
import { PostgresServer } from '../../store/state/postgres-server.js';
import { publish } from '../http/running-site.js';
import { REAL_CLIENTS } from './real-clients.js';
import { CLIENT_SIDE, type Namespace, SERVER_SIDE } from './segment.js';
import { clientMessage, is } from './messages.js';
import { type Heard, say, startClient, withSegment, xid } from './serving.js';
import { Wire } from './wire.js';

const NODE_MAC = '52:54:00:00:00:21';

/** Makes a site that gives addresses out of a pool on `device`, where it is `address`. */
async function makeSite(
  dir: string,
  address: string,
  device: string,
  database = 'sqlite',
  more = '', // lines of `dhcp`
): Promise<string> {
  await mkdir(dir);
  await writeFile(
    join(dir, configFile),
    `database: '${database}'
http: { listen: '${address}:8080' }
dhcp:
  interfaces: { ${device}: authoritative }
  subnets: [{ network: 10.77.0.0/24, server: ${address}, lease: 20, pools: [10.77.0.20-10.77.0.29] }]
${more}`,
  );
  return dir;
}

async function withStore<T>(dir: string, body: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(await openSite(dir));
  try {
    return await body(store);
  } finally {
    await store.close();
  }
}

/** `rackboot serve` in a namespace; up when it says so. */
async function serve(space: Namespace, site: string): Promise<ChildProcess> {
  const program = join(packageRoot(), 'dist/src/cli/main.js');
  const child = space.spawn([process.execPath, program, '--site', site, 'serve']);
  let said = '';
  let log = '';
  child.stdout?.on('data', (text: Buffer) => (said += text.toString()));
  child.stderr?.on('data', (text: Buffer) => {
    log = (log + text.toString()).slice(-4000);
  });
  for (const last = Date.now() + 60_000; !said.includes('DHCP answers'); await sleep(50))
    if (child.exitCode !== null || Date.now() > last) throw new Error(`serve: ${said} ${log}`);
  return child;
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const last = Date.now() + 60_000; Date.now() < last; await sleep(100)) {
    const seen = await look();
    if (seen !== undefined) return seen;
  }
  throw new Error(`never seen: ${what}`);
}

const n1 = parseNode({ name: 'n1', macs: [NODE_MAC] });
const setTo = (osimage: string) =>
  ({ node: 'n1', state: 'osimage', osimage, generation: null, entry: null, since: Date.now() }) as const;

test.serial('a node with an address out of a pool is told what to boot, and gets its answer file', (t) =>
  withSegment(async (segment, dir) => {
    const site = await makeSite(join(dir, 'site'), SERVER_SIDE.address, SERVER_SIDE.interface);
    await withStore(site, async (store) => {
      await store.nodes.put(n1);
      await publish(store, { name: 'd12', answer: 'secret for {{ node.name }} at {{ node.ip }}\n' });
      await store.nodes.assign([setTo('d12')]);
    });
    await serve(segment.server, site);
    const machine = await segment.join(NODE_MAC);
    await REAL_CLIENTS[0]!.start(machine, dir);
    const lease = await withStore(site, (store) =>
      until('a lease', () => store.addresses.ofNode('n1', Date.now())),
    );
    const url = `http://${SERVER_SIDE.address}:8080`;
    const fetchFrom = async (space: Namespace, path: string): Promise<string> =>
      (await space.run(['curl', '-s', '--retry', '20', '--retry-connrefused', '--retry-delay', '1', path]))
        .output;
    const used = async (): Promise<true | undefined> =>
      (await machine.run(['ip', 'address'])).output.includes(`inet ${lease.address}/`) ? true : undefined;
    await until('the address in use', used);

    await segment.client.must('ip', 'address', 'add', '10.77.0.200/24', 'dev', CLIENT_SIDE.interface);
    t.notRegex(await fetchFrom(segment.client, `${url}/nodes/n1/boot.ipxe`), /answerfile\?token=/);
    const script = await fetchFrom(machine, `${url}/nodes/n1/boot.ipxe`);
    const [path = ''] = /\/nodes\/n1\/answerfile\?token=[^\s&]+/.exec(script) ?? [script];
    t.notRegex(await fetchFrom(segment.client, url + path), /secret/);
    t.is(await fetchFrom(machine, url + path), `secret for n1 at ${lease.address}\n`);
  }),
);

test.serial(
  'of two servers with one PostgreSQL database, either goes on when the other dies: one node, one address',
  (t) =>
    withSegment(async (segment, dir) => {
      const postgres = await PostgresServer.start();
      t.teardown(() => postgres.stop());
      const database = await postgres.newDatabase();
      const second = await segment.join('52:54:00:00:00:02');
      await second.must('ip', 'address', 'add', '10.77.0.2/24', 'dev', CLIENT_SIDE.interface);
      const sites = {
        '10.77.0.1': await makeSite(join(dir, 'a'), '10.77.0.1', SERVER_SIDE.interface, database),
        '10.77.0.2': await makeSite(join(dir, 'b'), '10.77.0.2', CLIENT_SIDE.interface, database),
      };
      await mkdir(join(dir, 'a', 'store'));
      await symlink(join(dir, 'a', 'store'), join(dir, 'b', 'store'));
      await withStore(sites['10.77.0.1'], (store) => store.nodes.put(n1));
      const servers = new Map([
        ['10.77.0.1', await serve(segment.server, sites['10.77.0.1'])],
        ['10.77.0.2', await serve(second, sites['10.77.0.2'])],
      ]);
      const pcap = join(dir, 'wire.pcap');
      const wire = await Wire.watch(segment, pcap);
      await REAL_CLIENTS[0]!.start(await segment.join(NODE_MAC), dir);
      await withStore(sites['10.77.0.1'], async (store) => {
        const lease = await until('a lease', () => store.addresses.ofNode('n1', Date.now()));
        await wire.until(NODE_MAC, /request selecting/);
        const seen = readCapture(await readFile(pcap)).sightings.map(({ packet }) => packet);
        const offers = seen.filter((packet) => readMessageType(packet) === 'offer');
        t.deepEqual(new Set(offers.map(({ yiaddr }) => yiaddr)), new Set([lease.address]), 'whoever offers');
        const request = seen.find((packet) => readMessageType(packet) === 'request');
        const chosen = request && readAddress(request, OPTION.serverIdentifier);
        const server = servers.get(chosen ?? '');
        t.truthy(server, `it chose ${chosen ?? 'nobody'}`);
        server?.kill('SIGKILL');
        if (server !== undefined) await once(server, 'close');

        // The answer goes past the wire that is watched; what is left of the old lease by then is a few seconds.
        await wire.until(NODE_MAC, /request rebinding/);
        const renewed = await until('a renewal by the other server', async () => {
          const now = await store.addresses.ofNode('n1', Date.now());
          return now !== undefined && now.expiresAt > Date.now() + 10_000 ? now : undefined;
        });
        t.is(renewed.address, lease.address);
      });
    }),
);

test.serial(
  'SIGHUP has rackboot serve take dhcp of rackboot.yaml, and nothing of a file with a mistake',
  (t) =>
    withSegment(async (segment, dir) => {
      const site = await makeSite(join(dir, 'site'), SERVER_SIDE.address, SERVER_SIDE.interface);
      const file = join(site, configFile);
      const text = await readFile(file, 'utf8');
      await withStore(site, (store) => store.nodes.put(n1));
      await writeFile(file, text.replace(/, pools: [^}]*/, ''));
      const server = await serve(segment.server, site);
      let log = '';
      server.stderr?.on('data', (bytes: Buffer) => (log += bytes.toString()));
      const hangUp = async (expected: RegExp): Promise<void> => {
        log = '';
        server.kill('SIGHUP');
        await until(expected.source, async () => (expected.test(log) ? true : undefined));
      };
      const client = await startClient(segment, '10.77.0.200');
      const chaddr = Buffer.from(NODE_MAC.replaceAll(':', ''), 'hex');
      const offered = async (number: number, seconds: number): Promise<string | undefined> => {
        for (let tries = 0; tries < seconds; tries += 1) {
          say(client, clientMessage([is('discover')], { xid: number, chaddr }));
          const heard = await client.next<Heard>(xid(number), 1).catch(() => undefined);
          if (heard !== undefined) return decodeDhcp(Buffer.from(heard.hex, 'hex')).yiaddr;
        }
        return undefined;
      };
      t.is(await offered(1, 2), undefined, 'there is no pool yet');
      await writeFile(file, text.replace('10.77.0.20-10.77.0.29', '10.77.0.40-10.77.0.40'));
      await hangUp(/taken from rackboot\.yaml: DHCP answers known nodes on srv0/);
      t.is(await offered(2, 20), '10.77.0.40');
      await writeFile(file, text.replace('authoritative', 'authoritive'));
      await hangUp(/nothing is changed: .*dhcp\.interfaces\.srv0 must be one of/);
      t.is(await offered(3, 20), '10.77.0.40');
      await writeFile(file, text.replace(SERVER_SIDE.interface, 'eth9'));
      await hangUp(/DHCP stays as it was: dhcp\.interfaces\.eth9: no such interface/);
      t.is(await offered(4, 20), '10.77.0.40');
      await writeFile(file, `name: other\n${text.replace('10.77.0.20-10.77.0.29', '10.77.0.40-10.77.0.40')}`);
      await hangUp(/name changed in rackboot\.yaml, which takes a restart/);
      t.is(server.exitCode, null);
    }),
);

for (const [given, isDropped] of [
  ['', false],
  ['  limits: { probes: 1, probesWaiting: 1 }\n', true],
] as const) {
  test.serial(
    `eight new clients at once: with probe: on, ${given.trim() || 'no limits given'}, ${isDropped ? 'some are dropped' : 'all are offered something'}`,
    (t) =>
      withSegment(async (segment, dir) => {
        const more = `  probe: on\n${given}`;
        const { address, interface: device } = SERVER_SIDE;
        const site = await makeSite(join(dir, 'site'), address, device, 'sqlite', more);
        const macs = Array.from({ length: 8 }, (_, index) => `52:54:00:01:00:0${index}`);
        await withStore(site, async (store) => {
          for (const [index, mac] of macs.entries())
            await store.nodes.put(parseNode({ name: `n${index}`, macs: [mac] }));
        });
        const server = await serve(segment.server, site);
        let log = '';
        server.stderr?.on('data', (bytes: Buffer) => (log += bytes.toString()));
        server.stdout?.on('data', (bytes: Buffer) => (log += bytes.toString()));
        const client = await startClient(segment, '10.77.0.200');
        const offered = new Set<string>();
        const heard = (value: Partial<Heard>): boolean => {
          if (value.mac !== undefined) offered.add(value.mac);
          return offered.size === macs.length;
        };
        // Who is dropped asks again, and has its turn.
        for (let tries = 0; offered.size < macs.length && tries < 30; tries += 1) {
          client.send({ do: 'crowd', count: macs.length });
          await client.next<Heard>(heard, 2).catch(() => undefined);
        }
        t.is(offered.size, macs.length);
        const told = 'too many addresses to look at';
        if (isDropped) await until(told, async () => (log.includes(told) ? true : undefined));
        t.is(log.includes(told), isDropped);
      }),
  );
}
