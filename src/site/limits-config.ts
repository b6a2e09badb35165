import * as z from 'zod';

/** What a server spends on its clients at most, as `rackboot.yaml` may say otherwise. */
interface Limit {
  readonly about: string;
  readonly usual: number; // without it
  readonly least: number;
  readonly most: number;
  readonly unit?: 'bytes' | 'blocks' | 'seconds';
}

type Limits = Readonly<Record<string, Limit>>;

const count = (about: string, usual: number, most = 65535): Limit => ({ about, usual, least: 1, most });
const seconds = (about: string, usual: number): Limit => ({
  ...{ about, usual, least: 1, most: 86400 },
  unit: 'seconds',
});

/** `http.limits`; docs/ports.md lists them all. */
export const HTTP_LIMITS = {
  connections: count('Connections at one time; above it the one idle for longest makes way', 4096),
  connectionsPerClient: count('The same for one address, http.proxies excepted', 256),
  transfersPerClient: count(
    'Boot files sent to one address at one time; more wait in line, then get 503',
    64,
  ),
  transferWait: seconds('How long a boot file waits in line before 503', 3),
  requestsPerConnection: count('Requests on one connection', 10_000, 1_000_000),
  headerBytes: {
    ...{ about: 'The largest header of a request', usual: 16_384, least: 4096, most: 1_048_576 },
    unit: 'bytes',
  },
  headers: count('Fields in the header of a request', 100, 2000),
  headerTimeout: seconds('How long the header of a request may take', 10),
  requestTimeout: seconds('How long a whole request may take', 30),
  keepAlive: seconds('How long a connection may be without a request', 15),
  gone: seconds(
    'How long a client that answers nothing is remembered after its connection has been closed',
    10,
  ),
  stalled: seconds('How long a reader may take nothing at all', 60),
  slow: seconds('How long a reader may take for one piece that was read ahead, of 1 MiB at most', 300),
  eventStreams: count('Pages that listen to what happens', 64),
} as const satisfies Limits;

/** `tftp.limits`. */
export const TFTP_LIMITS = {
  transfers: count('Transfers at one time', 1024),
  transfersPerClient: count('Transfers to one address at one time', 64),
  memory: {
    ...{
      about: 'Read ahead for all transfers together',
      usual: 134_217_728,
      least: 1_048_576,
      most: 2 ** 36,
    },
    unit: 'bytes',
  },
  blksize: {
    ...{ about: 'The largest block that is agreed on', usual: 65_464, least: 512, most: 65_464 },
    unit: 'bytes',
  },
  windowsize: {
    ...{ about: 'The most sent before an acknowledgement (RFC 7440)', usual: 64, least: 1, most: 64 },
    unit: 'blocks',
  },
} as const satisfies Limits;

/** `dhcp.limits`. */
export const DHCP_LIMITS = {
  waiting: count('Messages that wait for an answer; more are dropped, and their clients ask again', 1024),
  offer: seconds('How long an address offered out of a pool is held until the client takes it', 60),
  declined: seconds('How long a reserved address that a client declined is not given out', 60),
  addressesPerNode: count('Addresses out of one pool that one node may have, by whatever interfaces', 8),
  strangersPerSecond: count(
    'Machines that are no node, written into the log and down, on the average',
    5,
    1000,
  ),
  probes: count('Addresses looked at together with probe: on', 32, 1024),
  probesWaiting: count(
    'Addresses that wait to be looked at; more are dropped, and their clients ask again',
    512,
  ),
} as const satisfies Limits;

/** `xcat.limits`. */
export const XCAT_LIMITS = {
  connections: count('Nodes that report at one time; the next are hung up on and try again', 4096),
} as const satisfies Limits;

/** What an operator has set of `T`. */
export type GivenLimits<T extends Limits> = { readonly [Name in keyof T]?: number | undefined };

/** `limits` as a part of the configuration's schema: whole numbers, each optional. */
export function limitsSchema<T extends Limits>(
  limits: T,
): z.ZodObject<{ [Name in keyof T]: z.ZodOptional<z.ZodInt> }, z.core.$strict> {
  const shape = Object.fromEntries(
    Object.entries(limits).map(([name, { about, usual, least, most, unit }]) => {
      const words = `must be a whole number from ${least} to ${most}`;
      const inUnit = unit === undefined ? '' : `, in ${unit}`;
      return [
        name,
        z
          .int(words)
          .min(least, words)
          .max(most, words)
          .optional()
          .describe(`${about}${inUnit}; without it ${usual}`)
          .meta({ examples: [usual] }),
      ];
    }),
  ) as { [Name in keyof T]: z.ZodOptional<z.ZodInt> };
  return z.strictObject(shape);
}

/** Every one of `limits`: what was `given`, else the usual. */
export function limitsOf<T extends Limits>(
  limits: T,
  given: GivenLimits<T> = {},
): { readonly [Name in keyof T]: number } {
  return Object.fromEntries(
    Object.entries(limits).map(([name, { usual }]) => [name, given[name] ?? usual]),
  ) as { readonly [Name in keyof T]: number };
}
