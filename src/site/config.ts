import { BlockList, isIPv4, isIPv6 } from 'node:net';
import * as z from 'zod';
import { DHCP_LIMITS, HTTP_LIMITS, limitsSchema, TFTP_LIMITS, XCAT_LIMITS } from './limits-config.js';
import { listenPattern, parseListen, parsePorts } from './listen.js';
import { type Platform, tableFault } from './loader-names.js';
import { power } from './power-config.js';
import { mirror, signing } from './repo-config.js';

const seconds = z.int('must be a whole number of seconds').min(1, 'must be at least 1 second');

const ipv4 = z.string().refine(isIPv4, 'must be an IPv4 address, such as 10.77.0.1');

/** A loader that `key` of dhcp.loaders can have. */
function loaderFor(key: Platform | 'ipxe'): z.ZodString {
  return z.string().refine((text) => tableFault(key, text) === undefined, {
    error: ({ input }) => tableFault(key, String(input)) ?? 'must be a loader',
  });
}

/** Whether `parse` takes `text`. */
function parses(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

const listen = z
  .string()
  .regex(listenPattern, 'must be address:port, such as 127.0.0.1:8080 or [::1]:8080')
  .refine((text) => parses(parseListen, text), { error: 'must have a port of at most 65535', abort: true });

/** Whether `ip` lies in `network`, both IPv4 and the latter in CIDR form and valid. */
export function inNetwork(network: string, ip: string): boolean {
  const [base = '', prefix = ''] = network.split('/');
  const list = new BlockList();
  list.addSubnet(base, Number(prefix));
  return list.check(ip);
}

function isNetwork(text: string): boolean {
  const match = /^([0-9.]+)\/(\d{1,2})$/.exec(text);
  return match !== null && isIPv4(match[1] ?? '') && Number(match[2]) >= 1 && Number(match[2]) <= 32;
}

function isPrefix(text: string): boolean {
  const [base = '', length = ''] = text.split('/');
  if (!/^\d{1,3}$/.test(length)) return false;
  return isIPv4(base) ? Number(length) <= 32 : isIPv6(base) && Number(length) <= 128;
}

function wholeNumber(least: number, most: number): z.ZodInt {
  const words = `must be a whole number from ${least} to ${most}`;
  return z.int(words).min(least, words).max(most, words);
}

const blksize = wholeNumber(512, 65464);
const windowsize = wholeNumber(1, 64);

const macPrefix = z
  .string()
  .regex(
    /^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,5}$/,
    'must be a MAC address or its first octets, such as 52:54:00',
  );

const tftpClient = z
  .strictObject({
    network: z
      .string()
      .refine(isPrefix, 'must be a network in CIDR form, such as 10.77.3.0/24 or fd00:77::/64')
      .optional()
      .describe('Which clients: those with an address in this network'),
    mac: macPrefix.optional().describe('Which clients: those whose MAC address begins so'),
    blksize: blksize.optional().describe('The largest block for them, in bytes'),
    windowsize: windowsize.optional().describe('The largest window for them, in blocks'),
    options: z
      .literal('ignore', 'must be ignore')
      .optional()
      .describe('ignore: serve them as if they had asked for no option'),
  })
  .refine(({ network, mac }) => network !== undefined || mac !== undefined, {
    error: 'must name a network or a mac; for all clients there is tftp.limits',
  });

const subnet = z
  .strictObject({
    network: z
      .string()
      .refine(isNetwork, { error: 'must be a network in CIDR form, such as 10.77.0.0/24', abort: true })
      .describe('The network, in CIDR form'),
    server: ipv4.describe('This server’s own address in that network; nodes boot from it'),
    routers: z.array(ipv4).default([]).describe('Gateways handed to the nodes'),
    nameServers: z.array(ipv4).default([]).describe('DNS servers handed to the nodes'),
    domain: z
      .string()
      .min(1)
      .optional()
      .describe('DNS domain handed to the nodes')
      .meta({ examples: ['rack.example'] }),
    lease: seconds.default(3600).describe('How long a node may keep its address, in seconds'),
    pools: z
      .array(
        z.string().refine((text) => parses(parsePool, text), {
          error: 'must be a range, such as 10.77.0.100-10.77.0.199',
          abort: true,
        }),
      )
      .default([])
      .describe('Ranges of addresses, first-last, for nodes that have none of their own'),
    relays: z
      .array(ipv4)
      .default([])
      .describe(
        'The relays (giaddr) this network is behind; without any, whatever relay has an address in it',
      ),
  })
  .refine((value) => value.relays.length > 0 || inNetwork(value.network, value.server), {
    error: 'must be an address inside its network, unless relays names the relays the network is behind',
    path: ['server'],
  })
  .refine(
    ({ network, pools }) =>
      pools.map(parsePool).every(({ first, last }) => inNetwork(network, first) && inNetwork(network, last)),
    { error: 'must lie inside the network', path: ['pools'] },
  );

/** The first and the last address of a pool as the configuration writes it. Throws RangeError. */
export function parsePool(text: string): { readonly first: string; readonly last: string } {
  const [first = '', last = '', ...more] = text.split('-').map((part) => part.trim());
  const order = (address: string): number =>
    address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  if (more.length > 0 || !isIPv4(first) || !isIPv4(last) || order(first) > order(last)) {
    throw new RangeError(`${text}: not a range of addresses`);
  }
  return { first, last };
}

const loaders = z.strictObject({
  bios: loaderFor('bios').optional().describe('For BIOS machines; without it ipxe'),
  'uefi-x64': loaderFor('uefi-x64').optional().describe('For x86-64 UEFI machines; without it ipxe'),
  'uefi-arm64': loaderFor('uefi-arm64')
    .optional()
    .describe('For arm64 UEFI machines; without it they are not answered'),
  'http-x64': loaderFor('http-x64')
    .optional()
    .describe('For x86-64 UEFI HTTP Boot; without it that of uefi-x64'),
  'http-arm64': loaderFor('http-arm64')
    .optional()
    .describe('For arm64 UEFI HTTP Boot; without it that of uefi-arm64'),
  ipxe: loaderFor('ipxe')
    .optional()
    .describe('For clients that are iPXE already: script, or a loader to go on with; without it script'),
});

/** The shape of rackboot.yaml: every key with its meaning, its default and what it may hold. */
export const siteConfigSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, dots, dashes and underscores')
    .default('rackboot')
    .describe('What this site is called, on its page and in its log'),
  database: z
    .string()
    .regex(/^(?:sqlite|postgres(?:ql)?:\/\/.+)$/, "must be 'sqlite' or a postgres:// URL")
    .default('sqlite')
    .describe(
      'Where the state is kept: sqlite (state.db in this directory) or postgres://user:password@host/database',
    ),
  http: z
    .strictObject({
      listen: listen.default('127.0.0.1:8080').describe('Where HTTP listens, as address:port'),
      url: z
        .string()
        .regex(
          /^https?:\/\/[^/?#\s]+(?:\/[^?#\s]*[^/?#\s])?$/,
          'must be an http:// URL without a final slash',
        )
        .optional()
        .describe('How nodes reach it; without it http:// and the listen address')
        .meta({ examples: ['http://10.77.0.1:8080'] }),
      transfersPerRack: wholeNumber(1, 65535)
        .optional()
        .describe(
          'Boot files sent at one time to one rack (a network of dhcp.subnets, else a /24 or a /64 of IPv6); without it 64',
        )
        .meta({ examples: [32] }),
      limits: limitsSchema(HTTP_LIMITS).prefault({}).describe('What HTTP spends on its clients, at most'),
      tls: z
        .strictObject({
          listen: listen.describe('Where HTTPS listens, as address:port'),
          cert: z
            .string()
            .min(1)
            .describe('File of the certificate and its chain, PEM; below the site unless absolute'),
          key: z.string().min(1).describe('File of its private key, PEM; below the site unless absolute'),
        })
        .optional()
        .describe(
          'HTTPS beside HTTP, which firmware needs: listen, cert, key. SIGHUP has the files read again',
        )
        .meta({ examples: [{ listen: '10.77.0.1:8443', cert: 'tls/cert.pem', key: 'tls/key.pem' }] }),
      proxies: z
        .array(z.union([z.ipv4(), z.ipv6()], 'must be an IP address'))
        .optional()
        .describe('Addresses of proxies, such as nginx, that say in X-Forwarded-For who asks')
        .meta({ examples: [['127.0.0.1']] }),
    })
    .prefault({})
    .describe('The HTTP server: boot scripts, images, install trees, API and page'),
  tftp: z
    .strictObject({
      listen: z
        .literal('off')
        .or(listen)
        .default('off')
        .describe('Where TFTP listens, as address:port (usually port 69), or off'),
      ports: z
        .string()
        .refine(
          (text) => parses(parsePorts, text),
          'must be any, single or a range of ports such as 50000-50999',
        )
        .default('any')
        .describe(
          'The ports transfers are sent from: any, a range such as 50000-50999, or single: the one it listens on',
        ),
      limits: limitsSchema(TFTP_LIMITS).prefault({}).describe('What TFTP spends on its clients, at most'),
      clients: z
        .array(tftpClient)
        .default([])
        .describe(
          'Clients that get options wrong, by network or mac: at most so large a blksize or windowsize, or options: ignore. ' +
            'All entries that fit a client count',
        )
        .meta({ examples: [[{ mac: '52:54:00', blksize: 1468, windowsize: 1 }]] }),
    })
    .prefault({})
    .describe('The TFTP server, which hands out the boot loaders'),
  dhcp: z
    .strictObject({
      interfaces: z
        .record(
          z.string().regex(/^[^\s/]{1,15}$/, 'must be a network interface name'),
          z.enum(['off', 'proxy', 'authoritative']),
        )
        .default({})
        .describe(
          'Which interfaces are answered: name: off, proxy (boot files only, beside another DHCP server) or authoritative ' +
            '(addresses too). An interface that is not named is never answered',
        ),
      subnets: z
        .array(subnet)
        .default([])
        .describe(
          'The networks behind those interfaces: network, server, routers, nameServers, domain, lease, pools, relays',
        ),
      unknown: z
        .enum(['refuse', 'record'])
        .default('refuse')
        .describe(
          'Machines that are no node get no answer; record: they are written down too, for rackboot node discover',
        ),
      probe: z
        .enum(['off', 'on'])
        .default('off')
        .describe(
          'on: an address of a pool is given out once nobody answers there, by ARP or, behind a relay, ICMP (arping and ping)',
        ),
      menus: z
        .array(macPrefix)
        .optional()
        .describe(
          'ROMs that take a boot file from a proxy only out of a PXE menu, by MAC address or its first octets',
        )
        .meta({ examples: [['00:1b:21']] }),
      loaders: loaders
        .optional()
        .describe(
          'Other first boot loaders than the usual ones, by client: bios, uefi-x64, uefi-arm64, http-x64, http-arm64, ipxe. ' +
            'Each is ipxe, pxelinux, grub, shim or a file; a node’s attribute loader comes before them',
        )
        .meta({ examples: [{ bios: 'pxelinux', 'uefi-x64': 'shim' }] }),
      limits: limitsSchema(DHCP_LIMITS).prefault({}).describe('What DHCP spends on its clients, at most'),
    })
    .prefault({})
    .describe('The DHCP server. Nothing is ever sent unless an interface is turned on here'),
  install: z
    .strictObject({
      done: z
        .enum(['report', 'fetched'])
        .default('report')
        .describe('When a node counts as installed: it reports so, or it has fetched lastFile'),
      lastFile: z
        .string()
        .min(1)
        .optional()
        .describe('With done: fetched, a glob over the paths of the install tree')
        .meta({ examples: ['**/base-installer_*.udeb'] }),
      tokenTtl: seconds
        .default(3600)
        .describe('How long the one-time token of an answer file works, in seconds'),
    })
    .refine((value) => value.done !== 'fetched' || value.lastFile !== undefined, {
      error: 'must be set when install.done is fetched',
      path: ['lastFile'],
    })
    .prefault({})
    .describe('What ends an installation'),
  xcat: z
    .strictObject({
      genesis: z
        .string()
        .min(1)
        .default('genesis')
        .describe('The osimage that nodeset shell, runcmd=, runimage= and standby boot'),
      reports: z
        .literal('off')
        .or(listen)
        .default('off')
        .describe('Where reports of xCAT’s nodes are taken, as address:port (its own is 3002), or off'),
      paths: z
        .enum(['off', 'on'])
        .default('off')
        .describe('on: boot files are also there under the paths of xCAT, over HTTP and TFTP'),
      limits: limitsSchema(XCAT_LIMITS).prefault({}).describe('What its reports may cost, at most'),
    })
    .prefault({})
    .describe('What the nodes of an xCAT site expect'),
  power: power.prefault({}).describe('How machines are switched on and off: power, media, nodeset --power'),
  signing: signing.prefault({}).describe('Who signs the package repositories of this site'),
  mirror: mirror.prefault({}).describe('What repo mirror knows by name and leaves out'),
  serve: z
    .strictObject({
      holdGenerations: seconds
        .default(86400)
        .describe('How long a booting node keeps its generation from gc, in seconds'),
    })
    .prefault({})
    .describe('The servers together'),
  history: z
    .strictObject({
      days: z
        .int('must be a whole number of days')
        .min(1, 'must be 1 or more')
        .max(36500, 'must be 36500 or less')
        .default(90)
        .describe('What happened longer ago is forgotten, in days; the last 100 events of each node stay'),
      events: z
        .int('must be a whole number')
        .min(1000, 'must be 1000 or more')
        .max(1_000_000_000, 'must be 1000000000 or less')
        .default(1_000_000)
        .describe('How many events are kept, of all nodes together; the last 100 of each node stay'),
    })
    .prefault({})
    .describe('How long what happened to nodes is kept: status --history, the page, the API'),
});

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** A site's configuration with every default filled in; times are in seconds. */
export type SiteConfig = DeepReadonly<z.output<typeof siteConfigSchema>>;

/** One network of `dhcp.subnets`. */
export type SubnetConfig = SiteConfig['dhcp']['subnets'][number];

/** The configuration of a site whose rackboot.yaml is empty. */
export function defaultConfig(): SiteConfig {
  return siteConfigSchema.parse({});
}

/** Whether the reports of xCAT's nodes are taken. */
export function takesXcatReports(config: Pick<SiteConfig, 'xcat'>): boolean {
  return config.xcat.reports !== 'off';
}

/** A JSON Schema of rackboot.yaml, as an editor or a documentation page wants it. */
export function configJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(siteConfigSchema, { io: 'input' });
}

/** The URL nodes reach HTTP at, without a final slash: `http.url`, else the listen address, with `port` when it is given. */
export function httpUrl(config: SiteConfig, port?: number): string {
  if (config.http.url !== undefined) return config.http.url;
  const bound = parseListen(config.http.listen);
  const host = bound.host.includes(':') ? `[${bound.host}]` : bound.host;
  return `http://${host}:${port ?? bound.port}`;
}
