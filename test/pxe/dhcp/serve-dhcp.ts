import { pino } from 'pino';
import { probeAddress } from '../../../src/pxe/dhcp/arping.js';
import type { BootIntent } from '../../../src/pxe/dhcp/facts.js';
import type { DhcpMode } from '../../../src/pxe/dhcp/places.js';
import { type SubnetConfig, siteConfigSchema } from '../../../src/site/config.js';
import { siteAt } from '../../../src/site/site.js';
import { openStore } from '../../../src/store/store.js';
import { startDhcpServer } from '../../../src/pxe/dhcp/server.js';
import { datagramBatch } from '../../../src/system/datagram-batch.js';

/** A DHCP server for the tests. Argument: its nodes and interfaces as JSON. Prints `up`, each event, and what it throws. */
interface Settings {
  readonly interfaces: Readonly<Record<string, DhcpMode>>;
  readonly server: string;
  readonly nodes: Readonly<Record<string, { readonly name: string; readonly ip: string | null }>>;
  readonly lease?: number;
  readonly network?: string;
  readonly nameServers?: readonly string[];
  readonly domain?: string;
  readonly probe?: boolean;
  readonly pools?: readonly string[]; // kept in the site `site`
  readonly site?: string;
  readonly subnets?: readonly object[]; // more of them
  readonly ports?: Readonly<Record<string, string>>; // switch port: MAC address
  readonly isWithoutLibc?: boolean;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings;
// Before anything calls the C library: of another system it is not called.
if (settings.isWithoutLibc === true) Object.defineProperty(process, 'platform', { value: 'other' });
const print = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const store =
  settings.site === undefined
    ? undefined
    : await openStore(siteAt(settings.site, siteConfigSchema.parse({})));
const intent: BootIntent = { kind: 'osimage', scriptUrl: 'http://10.77.0.1:8080/nodes/n1/boot.ipxe' };

process.stdin.resume().on('end', () => process.exit());
try {
  const { answering } = await startDhcpServer({
    interfaces: settings.interfaces,
    subnets: [
      {
        network: settings.network ?? '10.77.0.0/24',
        server: settings.server,
        routers: ['10.77.0.254'],
        nameServers: settings.nameServers ?? ['10.77.0.1'],
        domain: settings.domain ?? 'rack.example',
        lease: settings.lease ?? 3600,
        pools: settings.pools ?? [],
        relays: [],
      },
      ...((settings.subnets ?? []) as SubnetConfig[]),
    ],
    directory: {
      find: async (queries) =>
        queries.map(({ mac, port }) => {
          const node = settings.nodes[mac] ?? settings.nodes[settings.ports?.[port ?? ''] ?? ''];
          return node && { ...node, intent, isByMac: settings.nodes[mac] !== undefined };
        }),
    },
    ...(store === undefined
      ? {}
      : { addresses: store.addresses, onStranger: (seen) => print({ stranger: seen }) }),
    probe: settings.probe === true ? probeAddress : undefined,
    tftpServer: 'subnet',
    httpUrl: 'http://10.77.0.1:8080',
    log: pino({ level: 'silent' }),
    onEvents: (events) => events.forEach(print),
  });
  print({ up: answering });
  if (settings.isWithoutLibc === true) print({ batch: datagramBatch(1, 1) ?? null });
} catch (error) {
  const { name, code, message } = error as Error & { code?: string };
  print({ error: { name, code, message } });
  process.exit(1);
}
