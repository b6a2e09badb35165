import path from 'node:path';
import type { Row } from '../ratio-table.js';
import type { Lab, Running } from './lab.js';
import { NGINX_URL, startFront, startNginx } from './peers.js';
import { RACKBOOT_URL, type NetSite } from './site.js';

const GIB = 2 ** 30;
const CLIENTS = 64;
const PART = GIB / 4; // of the file, to each of the 64
const ROUNDS = 3; // in which each server has its turn
const RUNS = 5; // of one client, in each

type Crowd = 'one' | 'many';

/** What a server did: bytes a second, and processor seconds for a GiB. */
interface Load {
  readonly rate: number;
  readonly cpu: number;
}

/** What a server did in all rounds. */
class Tally {
  readonly #name: string;
  readonly #loads: Record<Crowd, Load[]> = { one: [], many: [] };

  constructor(name: string) {
    this.#name = name;
  }

  /** Has `url` fetched once to warm up, then by one client RUNS times, then a part of it by many at once. */
  async measure(lab: Lab, url: string, size: number, servers: readonly Running[]): Promise<void> {
    await load(lab, url, size, 1, servers);
    for (let run = 0; run < RUNS; run++) this.#loads.one.push(await load(lab, url, size, 1, servers));
    this.#loads.many.push(await load(lab, url, PART, CLIENTS, servers));
  }

  /** The middle rate, and the processor time of all runs: the kernel counts it in hundredths of a second. */
  of(crowd: Crowd): Load {
    const loads = this.#loads[crowd];
    const rates = loads.map(({ rate }) => rate).sort((a, b) => a - b);
    return {
      rate: rates[Math.floor(rates.length / 2)] ?? NaN,
      cpu: loads.reduce((sum, { cpu }) => sum + cpu, 0) / loads.length,
    };
  }

  text(): string {
    const text = (crowd: Crowd): string => {
      const { rate, cpu } = this.of(crowd);
      const rates = this.#loads[crowd].map((load) => load.rate / 1e9);
      const range = `${Math.min(...rates).toFixed(2)} to ${Math.max(...rates).toFixed(2)}`;
      return `${(rate / 1e9).toFixed(2)} GB/s (${range}), ${cpu.toFixed(3)} CPU s/GiB`;
    };
    return `HTTP: ${this.#name}: 1 client ${text('one')}; ${CLIENTS} clients ${text('many')}`;
  }
}

/** Fetches `size` bytes at `file` from us, from nginx, and from nginx in front of us. */
export async function benchHttp(
  lab: Lab,
  site: NetSite,
  fixture: {
    readonly ofOurs: string;
    readonly ofPeers: string;
    readonly size: number;
    readonly root: string;
  },
  ourServer: () => Promise<Running>,
  directory: string,
  say: (line: string) => void,
): Promise<Row[]> {
  const { size, root } = fixture;
  const ours = new Tally('rackboot');
  const theirs = new Tally('nginx');
  const front = new Tally('nginx in front of rackboot');
  const frontConfig = await site.run(
    'nginx-config',
    ...['--listen', NGINX_URL.replace('http://', '')],
    ...['--cache', path.join(directory, 'nginx-cache'), '--cache-size', '4'],
  );
  const turns = [
    () =>
      during(ourServer, (server) => ours.measure(lab, `${RACKBOOT_URL}${fixture.ofOurs}`, size, [server])),
    () =>
      during(
        () => startNginx(lab, directory, root),
        (server) => theirs.measure(lab, `${NGINX_URL}/${fixture.ofPeers}`, size, [server]),
      ),
    () =>
      during(ourServer, (behind) =>
        during(
          () => startFront(lab, directory, frontConfig.output),
          (server) => front.measure(lab, `${NGINX_URL}${fixture.ofOurs}`, size, [server, behind]),
        ),
      ),
  ];
  for (let round = 0; round < ROUNDS; round++)
    for (const turn of [...turns.slice(round), ...turns.slice(0, round)]) await turn();
  for (const tally of [ours, theirs, front]) say(tally.text());
  return [
    ...(['one', 'many'] as const).map((key): Row => ({
      work: `HTTP GET, ${key === 'one' ? '1 client' : `${CLIENTS} clients`}`,
      peer: 'nginx with sendfile',
      ours: ours.of(key).rate / 1e9,
      theirs: theirs.of(key).rate / 1e9,
      unit: 'GB/s',
      goal: { least: 1 },
    })),
    ...(['one', 'many'] as const).map((key): Row => ({
      work: `HTTP GET, ${key === 'one' ? '1 client' : `${CLIENTS} clients`}`,
      peer: 'the goal of 0.35',
      ours: ours.of(key).cpu,
      theirs: 0.35,
      unit: 'CPU s/GiB',
      goal: { most: 1 },
      note: `nginx took ${theirs.of(key).cpu.toFixed(3)}`,
    })),
    ...(['one', 'many'] as const).map((key): Row => ({
      work: `HTTP GET, ${key === 'one' ? '1 client' : `${CLIENTS} clients`}, through our nginx`,
      peer: 'nginx with sendfile',
      ours: front.of(key).cpu,
      theirs: theirs.of(key).cpu,
      unit: 'CPU s/GiB',
      goal: { most: 1.05 },
    })),
  ];
}

async function during<T>(start: () => Promise<Running>, work: (server: Running) => Promise<T>): Promise<T> {
  const server = await start();
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

async function load(
  lab: Lab,
  url: string,
  bytes: number,
  clients: number,
  servers: readonly Running[],
): Promise<Load> {
  const cpu = (): number => servers.reduce((sum, server) => sum + server.cpu(), 0);
  const before = cpu();
  const { seconds, output } = await lab.client.must(
    [
      'curl',
      '-sf',
      ...['--parallel', '--parallel-immediate', '--parallel-max', String(clients)],
      ...['-r', `0-${bytes - 1}`, '-w', '%{size_download}\\n'],
      ...Array.from({ length: clients }, () => ['-o', '/dev/null', url]).flat(),
    ],
    120,
  );
  const fetched = [...output.matchAll(/^(\d+)$/gm)].reduce((sum, [count]) => sum + Number(count), 0);
  if (fetched !== bytes * clients) throw new Error(`${url}: ${fetched} bytes came, not ${bytes * clients}`);
  return { rate: fetched / seconds, cpu: (cpu() - before) / (fetched / GIB) };
}
