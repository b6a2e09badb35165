import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { decodeDhcp, encodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { MAC, clientMessage, hex, is } from './messages.js';
import { type Peer, SERVER_SIDE } from './segment.js';
import { type Heard, NODES, startClient, startServer, withSegment } from './serving.js';

/** Mutated messages in all; RACKBOOT_FUZZ_RUNS asks for more of them. */
const STORM = Number(process.env['RACKBOOT_FUZZ_RUNS'] ?? 60_000);

for (const [mode, settings] of [
  ['reservations', {}],
  ['pools', { pools: ['10.77.0.20-10.77.0.29'] }],
  ['proxy', { interfaces: { [SERVER_SIDE.interface]: 'proxy' } }],
] as const) {
  test.serial(
    `mutated messages, ${mode}: no answer to a stranger or with another's address, and no growth`,
    (t) => {
      t.timeout(60_000 + STORM * 5);
      return withSegment(async (segment, dir) => {
        const site = join(dir, 'site');
        await mkdir(site);
        // A mutated message may well decline n1's address; n2 is the one that must still be served.
        const other = Buffer.from('525400000008', 'hex');
        const nodes =
          mode === 'pools'
            ? { [MAC]: { name: 'n1', ip: null }, '52:54:00:00:00:08': { name: 'n2', ip: null } }
            : { ...NODES, '52:54:00:00:00:08': { name: 'n2', ip: '10.77.0.12' } };
        const server = await startServer(segment, {
          nodes,
          ...settings,
          ...(mode === 'pools' ? { site } : {}),
        });
        server.child.stdout?.resume();
        const client = await startClient(segment, '10.77.0.200');
        const rom = [hex(60, Buffer.from('PXEClient').toString('hex')), hex(93, '0007')];
        const probe = encodeDhcp(clientMessage([is('discover'), ...rom], { chaddr: other })).toString('hex');
        const given = new Map<string, Set<string>>(); // by MAC
        const ports = mode === 'proxy' ? [67, 4011] : [67];
        const storm = async (count: number, seed: number): Promise<void> => {
          client.send({ do: 'storm', count, seed, server: SERVER_SIDE.address, ports, probe });
          await client.next<Partial<Heard> & { stormed?: number }>(
            ({ hex: bytes, mac, stormed }) => {
              if (mac !== undefined && bytes !== undefined) {
                const { yiaddr } = decodeDhcp(Buffer.from(bytes, 'hex'));
                given.set(mac, (given.get(mac) ?? new Set()).add(yiaddr));
              }
              return stormed === count;
            },
            30 + count / 200,
          );
        };
        const half = Math.ceil(STORM / 6);
        await storm(half, 2131);
        const before = await memoryOf(server);
        await storm(half, 2132);
        const grown = (await memoryOf(server)) - before;
        t.true(grown < 32 * 2 ** 20, `${grown} bytes more after ${half} messages more`);
        const mine = given.get('525400000007') ?? new Set<string>();
        const its = given.get('525400000008') ?? new Set<string>();
        t.deepEqual(
          [...given.keys()].filter((mac) => !['525400000007', '525400000008'].includes(mac)),
          [],
        );
        t.true(its.size > 0);
        const without = (set: ReadonlySet<string>, ...known: string[]): readonly string[] =>
          [...set].filter((address) => address !== '0.0.0.0' && !known.includes(address));
        if (mode === 'pools') {
          t.deepEqual(
            without(mine).filter((address) => its.has(address)),
            [],
          );
        } else {
          t.deepEqual(without(mine, ...(mode === 'proxy' ? [] : ['10.77.0.11'])), []);
          t.deepEqual(without(its, ...(mode === 'proxy' ? [] : ['10.77.0.12'])), []);
        }
        t.is(server.child.exitCode, null);
      });
    },
  );
}

/** The resident memory of a peer, in bytes. */
async function memoryOf({ child }: Peer): Promise<number> {
  const status = await readFile(`/proc/${child.pid ?? 0}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
