import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseNode } from '../../../src/node/nodes.js';
import { packageRoot } from '../../../src/site/assets.js';
import { defaultConfig } from '../../../src/site/config.js';
import { initSite } from '../../../src/site/init.js';
import { configFile, siteAt } from '../../../src/site/site.js';
import { openStore } from '../../../src/store/store.js';
import type { Row } from '../ratio-table.js';
import { type DebianPeers, unpackPeers } from './debian-peers.js';
import { CLIENT, type Lab, type Running, SERVER, openLab } from './lab.js';

/** perfdhcp, Kea, and what they need beyond Debian's base. */
const KEA_PACKAGES = [
  'kea-admin',
  'kea-dhcp4-server',
  'kea-common',
  'liblog4cplus-2.0.5',
  'libmariadb3',
] as const;

const PROGRAM = path.join(packageRoot(), 'bin/rackboot');

/** Clients that are simulated: as many nodes, none with a reservation. */
const CLIENTS = 4000;

/** The network of the clients, behind the relay that perfdhcp plays, and the pool in it. */
const NETWORK = '10.90.0.0/16';
const POOL = { first: '10.90.16.0', last: '10.90.127.255' } as const;

/** Seconds of each try, exchanges a second of the first, and how much more the next one is. */
const PERIOD = 2;
const FIRST_RATE = 1000;
const STEP = 1.2;

/** Tries that complete no more than the best one did, before a server is at its end. */
const VAIN_TRIES = 3;

/** What perfdhcp counted at one rate. */
interface Try {
  readonly sent: number; // DISCOVER
  readonly done: number; // ACK
}

interface Contender {
  readonly name: string;
  start(): Promise<Running>;
}

/** Measures how many four-way exchanges a second DHCP servers complete, leases written down before the ACK. */
export async function benchDhcp(directory: string, say: (line: string) => void): Promise<Row[]> {
  const home = path.join(directory, 'dhcp');
  await mkdir(home);
  const debian = await unpackPeers(home, KEA_PACKAGES);
  const macs = path.join(home, 'macs');
  await writeFile(macs, Array.from({ length: CLIENTS }, (_, index) => `${macOf(index)}\n`).join(''));
  const lab = await openLab();
  try {
    const ours = await rackboot(lab, home);
    const peers = [await kea(lab, debian, home), dnsmasq(lab, home)];
    const measure = (contender: Contender): Promise<number> => capacityOf(lab, debian, macs, contender, say);
    const rate = await measure(ours);
    const rows: Row[] = [];
    for (const peer of peers) {
      rows.push({
        work: 'DHCP, four-way exchanges',
        peer: peer.name,
        ours: rate,
        theirs: await measure(peer),
        unit: '/s',
        goal: { least: 1 },
        note: `${CLIENTS} clients through a relay, pool; ours is synced to disk, theirs written`,
      });
    }
    return rows;
  } finally {
    await lab.close();
  }
}

/** The most exchanges that `contender` completes in a second: each try asks for more, until that brings no more. */
async function capacityOf(
  lab: Lab,
  debian: DebianPeers,
  macs: string,
  contender: Contender,
  say: (line: string) => void,
): Promise<number> {
  const server = await contender.start();
  try {
    await exchange(lab, debian, macs, FIRST_RATE); // every client has its lease, all code is warm
    let best = 0;
    for (let rate = FIRST_RATE, vain = 0; vain < VAIN_TRIES; rate *= STEP) {
      const { sent, done } = await exchange(lab, debian, macs, Math.round(rate));
      vain = done / PERIOD > best ? 0 : vain + 1;
      best = Math.max(best, done / PERIOD);
      if (sent < rate * PERIOD * 0.8) break; // the client is at its end
    }
    say(`DHCP: ${contender.name}: ${best.toFixed(0)} exchanges/s, ${server.cpu().toFixed(1)} CPU s in all`);
    return best;
  } finally {
    await server.stop();
  }
}

async function exchange(lab: Lab, debian: DebianPeers, macs: string, rate: number): Promise<Try> {
  const words = ['-4', '-r', String(rate), '-p', String(PERIOD), '-W', '1000000', '-M', macs, SERVER.address];
  const { output } = await lab.client.run(debian.command('usr/sbin/perfdhcp', ...words), 60);
  const count = (what: string, of: string): number => {
    const part = output.slice(output.indexOf(`Statistics for: ${of}`));
    const found = new RegExp(`${what} packets: (\\d+)`).exec(part)?.[1];
    if (found === undefined) throw new Error(`perfdhcp: ${output.slice(-2000)}`);
    return Number(found);
  };
  return { sent: count('sent', 'DISCOVER-OFFER'), done: count('received', 'REQUEST-ACK') };
}

async function rackboot(lab: Lab, home: string): Promise<Contender> {
  const directory = path.join(home, 'site');
  await initSite(directory);
  await writeFile(
    path.join(directory, configFile),
    `http: { listen: '${SERVER.address}:8080' }
tftp: { listen: '${SERVER.address}:69' }
dhcp:
  interfaces: { ${SERVER.interface}: authoritative }
  subnets:
    - { network: ${NETWORK}, server: ${SERVER.address}, pools: [${POOL.first}-${POOL.last}], relays: [${CLIENT.address}] }
`,
  );
  const store = await openStore(siteAt(directory, defaultConfig()));
  try {
    for (let index = 0; index < CLIENTS; index++)
      await store.nodes.put(parseNode({ name: `n${index}`, macs: [macOf(index)] }));
  } finally {
    await store.close();
  }
  const command = [PROGRAM, '--site', directory, 'serve', '--log-level', 'warn'];
  return { name: 'rackboot', start: () => lab.server.start(command, () => isListening(lab)) };
}

async function kea(lab: Lab, debian: DebianPeers, home: string): Promise<Contender> {
  const state = path.join(home, 'kea');
  await mkdir(state);
  const config = path.join(state, 'kea.json');
  const Dhcp4 = {
    'interfaces-config': { interfaces: [SERVER.interface], 'dhcp-socket-type': 'udp' },
    'lease-database': { type: 'memfile', persist: true, name: path.join(state, 'leases.csv') },
    'valid-lifetime': 3600,
    subnet4: [
      {
        subnet: NETWORK,
        pools: [{ pool: `${POOL.first} - ${POOL.last}` }],
        relay: { 'ip-addresses': [CLIENT.address] },
      },
    ],
    loggers: [{ name: 'kea-dhcp4', severity: 'ERROR', output_options: [{ output: 'stderr' }] }],
  };
  await writeFile(config, JSON.stringify({ Dhcp4 }));
  const command = debian.command('usr/sbin/kea-dhcp4', '-c', config);
  const places = [
    `KEA_PIDFILE_DIR=${state}`,
    `KEA_LOCKFILE_DIR=${state}`,
    `KEA_LFC_EXECUTABLE=${debian.command('usr/sbin/kea-lfc').at(-1) ?? ''}`,
  ];
  return {
    name: 'Kea, memfile',
    start: () => lab.server.start(['env', ...places, ...command], () => isListening(lab)),
  };
}

function dnsmasq(lab: Lab, home: string): Contender {
  const command = [
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=root', '--pid-file='],
    ...[`--interface=${SERVER.interface}`, '--dhcp-authoritative', '--no-ping', '--quiet-dhcp'],
    ...[`--dhcp-range=${POOL.first},${POOL.last},255.255.0.0,1h`, '--dhcp-lease-max=65536'],
    `--dhcp-leasefile=${path.join(home, 'dnsmasq.leases')}`,
  ];
  return { name: 'dnsmasq', start: () => lab.server.start(command, () => isListening(lab)) };
}

async function isListening(lab: Lab): Promise<boolean> {
  const { output } = await lab.server.run(['ss', '-Hlun', 'sport = :67']);
  return output.includes(':67');
}

function macOf(index: number): string {
  return `52:54:00:01:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`;
}
