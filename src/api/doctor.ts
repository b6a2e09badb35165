import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { delimiter, join } from 'node:path';
import { codeOf, messageOf } from '../errors.js';
import { LOADER_ATTRIBUTE, unbootableNodes } from '../node/loader-check.js';
import { loaderSource } from '../pxe/boot/loader-files.js';
import { DEFAULT_LOADERS, filesOf } from '../pxe/dhcp/loaders.js';
import { placesOf } from '../pxe/dhcp/places.js';
import { tryDhcpPorts } from '../pxe/dhcp/server.js';
import { httpUrl, inNetwork, type SiteConfig } from '../site/config.js';
import { parseListen } from '../site/listen.js';
import { loaderFileNames, nodeLoaderFault, platformsOf } from '../site/loader-names.js';
import { nearest } from '../site/nearest.js';
import type { Site } from '../site/site.js';
import type { NodeRecord, Store } from '../store/records.js';
import { isControlled, unswitchableNodes } from './power-check.js';

/** One thing that was looked at. `mend` is null when it is well; a warning costs a feature, a fault stops `serve`. */
export interface Check {
  readonly what: string;
  readonly state: 'ok' | 'warning' | 'fault';
  readonly detail: string;
  readonly mend: string | null;
}

/** Less free space than this is warned of, in bytes. */
const LITTLE_SPACE = 2 * 1024 ** 3;

/** How long a running server may take to say that it is well, in milliseconds. */
const HEALTH_PATIENCE = 2000;

/** Programs that features rest on: the program, Debian's package, what for. */
const PROGRAMS: readonly (readonly [program: string, pack: string, use: string])[] = [
  ['xorriso', 'xorriso', 'writes ISO images'],
  ['mcopy', 'mtools', 'makes the part of an ISO that UEFI boots from'],
  ['xz', 'xz-utils', 'reads and writes xz archives'],
  ['zstd', 'zstd', 'reads and writes zstd archives'],
  ['lz4', 'lz4', 'reads and writes lz4 archives'],
  ['lzop', 'lzop', 'reads and writes lzo archives'],
  ['unsquashfs', 'squashfs-tools', 'looks into squashfs files'],
  ['depmod', 'kmod', 'indexes the modules of layers with drivers'],
  ['createrepo_c', 'createrepo-c', 'reads packages for their repository'],
  ['dnf', 'dnf', 'finds what the packages of a repository lack'],
  ['rpmkeys', 'rpm', 'checks the signatures of packages'],
  ['gpg', 'gpg', 'signs repositories'],
  ['qemu-system-x86_64', 'qemu-system-x86', 'boots the machines of rackboot demo'],
  ['ipmitool', 'ipmitool', 'switches machines by IPMI (rackboot power)'],
  ['tcpdump', 'tcpdump', 'listens for rackboot doctor dhcp'],
  ['arping', 'iputils-arping', 'looks for machines at addresses of DHCP pools (dhcp.probe)'],
  ['ping', 'iputils-ping', 'looks for them behind a relay (dhcp.probe)'],
];

const ok = (what: string, detail: string): Check => ({ what, state: 'ok', detail, mend: null });

/** What a message says is wrong is before its first semicolon or full stop, and what mends it behind. */
export function problem(what: string, state: 'warning' | 'fault', message: string): Check {
  const [, detail = message, mend = ''] = /^(.*?)(?:; |\. )(.*)$/s.exec(message) ?? [];
  return { what, state, detail, mend: mend === '' ? null : mend };
}

/** Looks for the programs that features rest on. */
export async function checkPrograms(path: string = process.env['PATH'] ?? ''): Promise<readonly Check[]> {
  const directories = [...path.split(delimiter).filter((each) => each !== ''), '/usr/sbin', '/sbin'];
  return Promise.all(
    PROGRAMS.map(async ([program, pack, use]): Promise<Check> => {
      const found = await firstExecutable(directories.map((directory) => join(directory, program)));
      return found === undefined
        ? { what: program, state: 'warning', detail: `missing: ${use}`, mend: `apt install ${pack}` }
        : ok(program, found);
    }),
  );
}

async function firstExecutable(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) if (await isAccessible(file, constants.X_OK)) return file;
  return undefined;
}

async function isAccessible(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}

/** Looks at the free space of the site's directory. */
export async function checkSpace(dir: string): Promise<Check> {
  const { bavail, bsize } = await statfs(dir);
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free in ${dir}`;
  return free < LITTLE_SPACE
    ? { what: 'space', state: 'warning', detail, mend: 'free some, or run rackboot gc' }
    : ok('space', detail);
}

/** Binds each port that `serve` would, and lets it go; a rackboot that serves already has them by right. */
export async function checkPorts(config: SiteConfig): Promise<readonly Check[]> {
  const serving = await isServing(config);
  const attempt = async (what: string, bind: () => Promise<string>): Promise<Check> => {
    if (serving) return ok(what, 'rackboot serve runs and has it');
    try {
      return ok(what, await bind());
    } catch (error) {
      return problem(what, 'fault', messageOf(error));
    }
  };
  const { dhcp, http, tftp } = config;
  return [
    await attempt('HTTP', () => tryHttp(http.listen)),
    tftp.listen === 'off' ? ok('TFTP', 'off') : await attempt('TFTP', () => tryTftp(tftp.listen)),
    await attempt('DHCP', async () => {
      const places = await tryDhcpPorts(dhcp.interfaces, dhcp.subnets);
      return places.length === 0 ? 'off on every interface' : places.join('; ');
    }),
  ];
}

async function isServing(config: SiteConfig): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(HEALTH_PATIENCE);
    return (await fetch(`${httpUrl(config)}/healthz`, { signal })).ok;
  } catch {
    return false;
  }
}

function tryHttp(listen: string): Promise<string> {
  const { host, port } = parseListen(listen);
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => reject(portError(listen, error)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(`${listen} is free`)));
  });
}

function tryTftp(listen: string): Promise<string> {
  const { host, port } = parseListen(listen);
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error) => reject(portError(listen, error)));
    socket.bind({ address: host, port, exclusive: true }, () =>
      socket.close(() => resolve(`${listen} is free`)),
    );
  });
}

function portError(listen: string, error: Error): Error {
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new Error(`${listen} is in use by another program; find it with: ss -lntup`);
    case 'EACCES':
    case 'EPERM':
      return new Error(`no right to ${listen}; run as root, or with CAP_NET_BIND_SERVICE`);
    case 'EADDRNOTAVAIL':
      return new Error(`${listen} is not this machine’s; correct it in rackboot.yaml`);
    default:
      return error;
  }
}

/** Whether nodes that DHCP answers get any further: loaders, TFTP, and a URL that they can reach. */
export async function checkBoot(config: SiteConfig): Promise<readonly Check[]> {
  const { dhcp, http, tftp } = config;
  if (Object.values(dhcp.interfaces).every((mode) => mode === 'off')) return [];
  const checks: Check[] = [];
  for (const name of filesOf({ ...DEFAULT_LOADERS, ...dhcp.loaders })) {
    const source = loaderSource(name, config);
    if (source === undefined) continue;
    const { path, package: pack } = source;
    const near = platformsOf(name) === undefined ? nearest(name, loaderFileNames()) : undefined;
    const install =
      platformsOf(name) === undefined ? 'put it there, or correct dhcp.loaders' : `apt install ${pack}`;
    checks.push(
      (await isAccessible(path, constants.R_OK))
        ? ok('loader', path)
        : {
            what: 'loader',
            state: 'fault',
            detail: `${path} is missing`,
            mend: near === undefined ? install : `did you mean '${near}'? Correct dhcp.loaders`,
          },
    );
  }
  if (tftp.listen === 'off') {
    checks.push({
      what: 'TFTP',
      state: 'warning',
      detail: 'it is off, and all firmware but iPXE and UEFI HTTP Boot loads by TFTP',
      mend: 'set tftp.listen',
    });
  }
  if (http.url === undefined && /^(?:127\.|\[?::1\]?:|localhost)/.test(http.listen)) {
    checks.push({
      what: 'HTTP',
      state: 'fault',
      detail: `nodes are sent to ${httpUrl(config)}, which is this machine’s own loopback`,
      mend: 'set http.listen to an address on the boot network, or http.url',
    });
  }
  return checks;
}

/** Nodes that an authoritative server could not answer. */
export function checkNodes(config: SiteConfig, nodes: readonly NodeRecord[]): readonly Check[] {
  const { dhcp } = config;
  if (!Object.values(dhcp.interfaces).includes('authoritative')) return [];
  const { subnets } = tryPlaces(config);
  const checks: Check[] = [];
  const homeless = nodes.filter(({ ip }) => ip === null);
  if (homeless.length > 0 && subnets.every(({ pools }) => pools.length === 0)) {
    checks.push({
      what: 'nodes',
      state: 'warning',
      detail: `${someOf(homeless)} without an address, and there is no pool: DHCP does not answer them`,
      mend: 'rackboot node set NODE --ip ADDRESS, or pools in dhcp.subnets',
    });
  }
  const elsewhere = nodes.filter(
    ({ ip }) => ip !== null && !dhcp.subnets.some((each) => inNetwork(each.network, ip)),
  );
  if (elsewhere.length > 0) {
    checks.push({
      what: 'nodes',
      state: 'warning',
      detail: `${someOf(elsewhere)} with an address in no subnet: DHCP does not answer them`,
      mend: 'add the network to dhcp.subnets, or correct the addresses',
    });
  }
  return checks.length > 0 ? checks : [ok('nodes', `${nodes.length} that DHCP can answer`)];
}

/** Nodes whose attribute loader names none that is handed out, or one that cannot boot what they are set to. */
export async function checkLoaders(
  config: SiteConfig,
  store: Store,
  nodes: readonly NodeRecord[],
): Promise<readonly Check[]> {
  const faults = nodes.flatMap(({ name, attributes }) => {
    const loader = attributes[LOADER_ATTRIBUTE];
    const why = loader === undefined ? undefined : nodeLoaderFault(loader, config.dhcp.loaders ?? {});
    return why === undefined ? [] : [{ node: name, why }];
  });
  return [...faults, ...(await unbootableNodes(store, nodes))].map(({ node, why }) =>
    problem('loader', 'warning', `${node}: ${why}`),
  );
}

/** Nodes that say how they are switched and could not be. */
export async function checkPower(
  site: Pick<Site, 'dir' | 'config'>,
  nodes: readonly NodeRecord[],
): Promise<readonly Check[]> {
  const count = nodes.filter(isControlled).length;
  if (count === 0) return [];
  const faults = await unswitchableNodes(site, nodes);
  if (faults.length === 0) return [ok('power', `${count} nodes say how they are switched`)];
  return faults.map((fault) => problem('power', 'warning', `${someOf(fault.nodes)}: ${fault.why}`));
}

function tryPlaces({ dhcp }: SiteConfig): Pick<ReturnType<typeof placesOf>, 'subnets'> {
  try {
    return placesOf(dhcp.interfaces, dhcp.subnets, networkInterfaces());
  } catch {
    return { subnets: [] }; // the ports' check says why
  }
}

function someOf(nodes: readonly NodeRecord[]): string {
  const names = nodes.slice(0, 3).map(({ name }) => name);
  const more = nodes.length > names.length ? ` and ${nodes.length - names.length} more` : '';
  return `${nodes.length === 1 ? 'node' : 'nodes'} ${names.join(', ')}${more}`;
}
