import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { messageOf } from '../../errors.js';
import type { SiteConfig, SubnetConfig } from '../../site/config.js';
import { DHCP_LIMITS, limitsOf } from '../../site/limits-config.js';
import type { AddressState } from '../../store/records.js';
import { Desk, type Letter } from './desk.js';
import type { DhcpEvent } from './event.js';
import type { DhcpDirectory, DhcpFacts } from './facts.js';
import { Inbox } from './inbox.js';
import { Journal, type JournalOptions } from './journal.js';
import { DEFAULT_LOADERS, type LoaderTable } from './loaders.js';
import { type DhcpMode, type InterfaceAddresses, type Places, placesOf } from './places.js';
import type { Probe } from './probes.js';
import { PROXY_PORT, SERVER_PORT } from './reply.js';
import { type DhcpSockets, type Endpoint, openDhcpSockets } from './sockets.js';

export interface DhcpServerOptions {
  /** Which interfaces are answered; nothing ever leaves by another one. */
  readonly interfaces: Readonly<Record<string, DhcpMode>>;
  readonly subnets: readonly SubnetConfig[];
  readonly directory: DhcpDirectory;
  /** Loaders that take the place of the usual ones. */
  readonly loaders?: LoaderTable | undefined;
  /** ROMs that take a boot file from a proxy only out of a menu: MAC addresses or their first octets. */
  readonly menus?: readonly string[] | undefined;
  /** Who serves the loaders by TFTP; undefined: nobody. */
  readonly tftpServer: DhcpFacts['tftpServer'];
  /** Where nodes reach HTTP, without a final slash. */
  readonly httpUrl: string;
  readonly log: Logger;
  readonly onEvents?: (events: readonly DhcpEvent[]) => void;
  /** Where addresses out of pools are kept; without it there are no pools. */
  readonly addresses?: AddressState | undefined;
  /** Looks for other machines at addresses of pools before they are given out. */
  readonly probe?: Probe | undefined;
  /** Told of each client that is no node, once a minute. */
  readonly onStranger?: JournalOptions['onStranger'];
  /** What answering costs at most; the usual ones without it. */
  readonly limits?: SiteConfig['dhcp']['limits'];
  readonly now?: () => number;
  readonly machine?: InterfaceAddresses;
}

export interface DhcpServer {
  /** What is answered: each interface with our address on it. Empty when every interface is off. */
  readonly answering: readonly {
    readonly interface: string;
    readonly server: string;
    readonly mode: Exclude<DhcpMode, 'off'>;
  }[];
  close(): Promise<void>;
}

/** Starts answering on the interfaces that are turned on. Throws PxeError, or DhcpError BAD_ADDRESS, when it cannot. */
export async function startDhcpServer(options: DhcpServerOptions): Promise<DhcpServer> {
  const places = placesOf(options.interfaces, options.subnets, options.machine ?? networkInterfaces());
  const answering = answeringOf(places);
  if (answering.length === 0) return { answering, close: async () => undefined };
  const { log } = options;
  const limits = limitsOf(DHCP_LIMITS, options.limits);
  const now = options.now ?? Date.now;
  const { onStranger } = options;
  const { strangersPerSecond } = limits;
  const journal = new Journal({ log, now, onStranger, strangersPerSecond });
  const desk = new Desk({
    places,
    directory: options.directory,
    boot: {
      tftpServer: options.tftpServer,
      httpUrl: options.httpUrl,
      loaders: { ...DEFAULT_LOADERS, ...options.loaders },
    },
    menus: (options.menus ?? []).map((prefix) => prefix.toLowerCase()),
    addresses: options.addresses,
    probe: options.probe,
    log,
    journal,
    now,
    onEvents: options.onEvents ?? (() => undefined),
    limits,
  });
  const inbox = new Inbox<Letter>((letters) => desk.answer(letters, sockets.send, take), limits.waiting);
  const take = (letter: Letter): void => {
    if (!inbox.put(letter))
      journal.warn('overload', 'too many messages at once; some are dropped, their clients ask again');
  };
  const sockets: DhcpSockets = await openDhcpSockets({
    endpoints: endpointsOf(places),
    onMessage: (bytes, remote, arrival) => take({ bytes, remote, arrival, looks: 0 }),
    onError: (error) => journal.warn(`socket ${messageOf(error)}`, `socket: ${messageOf(error)}`),
  });
  for (const place of answering) log.info({ service: 'dhcp', ...place }, describePlace(place));
  return { answering, close: () => sockets.close() };
}

/** One line about a place that is answered. */
export function describePlace({ interface: name, server, mode }: DhcpServer['answering'][number]): string {
  return mode === 'proxy'
    ? `DHCP tells known nodes on ${name} what to boot, as the proxy ${server}; addresses come from another server`
    : `DHCP answers known nodes on ${name} as ${server}`;
}

/**
 * Binds the ports that startDhcpServer would and lets them go, having read nothing. Gives a line for each place, and
 * throws what startDhcpServer would.
 */
export async function tryDhcpPorts(
  interfaces: DhcpServerOptions['interfaces'],
  configured: readonly SubnetConfig[],
): Promise<readonly string[]> {
  const places = placesOf(interfaces, configured, networkInterfaces());
  const endpoints = endpointsOf(places);
  if (endpoints.length === 0) return [];
  const sockets = await openDhcpSockets({ endpoints, onMessage: () => undefined, onError: () => undefined });
  await sockets.close();
  return answeringOf(places).map(describePlace);
}

function answeringOf({ subnets, proxies }: Places): DhcpServer['answering'] {
  return [
    ...subnets.map(({ interface: name, server }) => ({
      interface: name,
      server,
      mode: 'authoritative' as const,
    })),
    ...proxies.map((place) => ({ ...place, mode: 'proxy' as const })),
  ];
}

function endpointsOf({ subnets, proxies }: Places): readonly Endpoint[] {
  return [
    ...subnets.map(({ server }) => ({ address: server, port: SERVER_PORT, shared: false })),
    ...proxies.flatMap(({ server }) =>
      [SERVER_PORT, PROXY_PORT].map((port) => ({ address: server, port, shared: true })),
    ),
  ];
}
