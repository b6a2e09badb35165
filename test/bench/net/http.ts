import path from 'node:path';
import type { Row } from '../ratio-table.js';
import type { Lab, Running } from './lab.js';
import { NGINX_URL, startFront, startNginx } from './peers.js';
import { RACKBOOT_URL, type NetSite } from './site.js';

const GIB = 2 ** 30;
const CLIENTS = 64;
const PART = GIB / 4; // of the file, to each of the 64

/** What a server did: bytes a second, and processor seconds for a GiB. */
interface Load {
  readonly rate: number;
  readonly cpu: number;
}

interface Measured {
  readonly one: Load;
  readonly many: Load;
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
  const tell = (name: string, { one, many }: Measured): void => {
    const text = ({ rate, cpu }: Load): string =>
      `${(rate / 1e9).toFixed(2)} GB/s, ${cpu.toFixed(3)} CPU s/GiB`;
    say(`HTTP: ${name}: 1 client ${text(one)}; ${CLIENTS} clients ${text(many)}`);
  };
  const { size } = fixture;
  const ours = await during(ourServer, (server) =>
    measure(lab, `${RACKBOOT_URL}${fixture.ofOurs}`, size, [server]),
  );
  tell('rackboot', ours);
  const theirs = await during(
    () => startNginx(lab, directory, fixture.root),
    (server) => measure(lab, `${NGINX_URL}/${fixture.ofPeers}`, size, [server]),
  );
  tell('nginx', theirs);
  const front = await during(ourServer, async (behind) => {
    const cache = path.join(directory, 'nginx-cache');
    const listen = NGINX_URL.replace('http://', '');
    const config = await site.run('nginx-config', '--listen', listen, '--cache', cache, '--cache-size', '4');
    return during(
      () => startFront(lab, directory, config.output),
      (server) => measure(lab, `${NGINX_URL}${fixture.ofOurs}`, size, [server, behind]),
    );
  });
  tell('nginx in front of rackboot', front);
  return [
    ...(['one', 'many'] as const).map((key): Row => ({
      work: `HTTP GET, ${key === 'one' ? '1 client' : `${CLIENTS} clients`}`,
      peer: 'nginx with sendfile',
      ours: ours[key].rate / 1e9,
      theirs: theirs[key].rate / 1e9,
      unit: 'GB/s',
      goal: { least: 1 },
    })),
    ...(['one', 'many'] as const).map((key): Row => ({
      work: `HTTP GET, ${key === 'one' ? '1 client' : `${CLIENTS} clients`}`,
      peer: 'the goal of 0.35',
      ours: ours[key].cpu,
      theirs: 0.35,
      unit: 'CPU s/GiB',
      goal: { most: 1 },
      note: `nginx took ${theirs[key].cpu.toFixed(3)}`,
    })),
    ...(['one', 'many'] as const).map((key): Row => ({
      work: `HTTP GET, ${key === 'one' ? '1 client' : `${CLIENTS} clients`}, through our nginx`,
      peer: 'nginx with sendfile',
      ours: front[key].cpu,
      theirs: theirs[key].cpu,
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

/** Fetches `url` once to warm up, then by one client (the middle one of three runs), then a part of it by many at once. */
async function measure(lab: Lab, url: string, size: number, servers: readonly Running[]): Promise<Measured> {
  await load(lab, url, size, 1, servers);
  const runs: Load[] = [];
  for (let index = 0; index < 3; index++) runs.push(await load(lab, url, size, 1, servers));
  const one = runs.sort((a, b) => a.rate - b.rate)[1]!;
  return { one, many: await load(lab, url, PART, CLIENTS, servers) };
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
