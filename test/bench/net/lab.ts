import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The server's and the client's end of the lab's one wire, and the network that simulated clients have addresses in. */
export const SERVER = { interface: 'srv0', address: '10.90.0.1' } as const;
export const CLIENT = { interface: 'cli0', address: '10.90.0.2' } as const;
export const CROWD = '10.91.0.0/16';
export const RELAY = '10.91.255.254'; // of that network

/** A program that runs to its end: what it wrote, and how long it took. */
export interface Ended {
  readonly seconds: number;
  readonly code: number | null; // null: it was stopped
  readonly output: string;
}

/** A program that runs until it is stopped, below its namespace's command. */
export interface Running {
  readonly pid: number; // of the program itself
  /** Processor seconds of it and its children so far. */
  cpu(): number;
  /** The most memory it has had since `forgetPeak`, in bytes; of it alone. */
  peak(): number;
  forgetPeak(): void;
  stop(): Promise<void>;
}

/** npm puts its packages' programs before the system's, and one of them is called nft as well. */
const LAB_ENVIRONMENT = {
  ...process.env,
  LC_ALL: 'C',
  PATH: (process.env['PATH'] ?? '')
    .split(path.delimiter)
    .filter((directory) => !directory.includes('node_modules'))
    .join(path.delimiter),
};

const TICKS = 100; // a second, on every Linux that Node runs on

/** A private network namespace, held by a process that dies with this one. */
class Side {
  readonly #holder: ChildProcess;
  readonly #enter: readonly string[];
  readonly #children = new Set<ChildProcess>();

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
    this.#enter = ['nsenter', '--target', String(holder.pid), '--net'];
  }

  static async open(): Promise<Side> {
    const holder = spawn('unshare', ['--net', 'setpriv', '--pdeathsig', 'KILL', 'sleep', '7200'], {
      stdio: 'ignore',
    });
    await once(holder, 'spawn');
    for (let tries = 0; readFileSync(`/proc/${holder.pid}/comm`, 'utf8').trim() !== 'sleep'; tries++) {
      if (tries > 500 || holder.exitCode !== null)
        throw new Error('no network namespace: run the benchmark as root');
      await sleep(10);
    }
    return new Side(holder);
  }

  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** Runs `argv` to its end, for `seconds` at most. */
  async run(argv: readonly string[], seconds = 60, input = ''): Promise<Ended> {
    const began = process.hrtime.bigint();
    const child = this.#spawn(argv);
    let output = '';
    const keep = (text: Buffer): void => void (output = (output + text.toString()).slice(-1_000_000));
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.stdin?.on('error', () => undefined).end(input);
    const bound = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(bound);
    return { seconds: Number(process.hrtime.bigint() - began) / 1e9, code, output };
  }

  /** As `run`; throws when it fails, with what it said. */
  async must(argv: readonly string[], seconds = 60, input = ''): Promise<Ended> {
    const ended = await this.run(argv, seconds, input);
    if (ended.code !== 0) throw new Error(`${argv.join(' ')}: ${ended.code ?? 'stopped'}: ${ended.output}`);
    return ended;
  }

  /** Starts `argv` and waits until `isUp`, for 30 seconds at most. */
  async start(argv: readonly string[], isUp: () => Promise<boolean>): Promise<Running> {
    const child = this.#spawn(argv);
    let output = '';
    const keep = (text: Buffer): void => void (output = (output + text.toString()).slice(-4000));
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    for (let tries = 0; !(await isUp()); tries++) {
      if (tries === 300 || child.exitCode !== null) throw new Error(`${argv.join(' ')}: ${output}`);
      await sleep(100);
    }
    return running(child);
  }

  async close(): Promise<void> {
    for (const child of [...this.#children, this.#holder]) await end(child);
  }

  #spawn(argv: readonly string[]): ChildProcess {
    const [program = '', ...rest] = [...this.#enter, 'setpriv', '--pdeathsig', 'KILL', ...argv];
    const child = spawn(program, rest, { stdio: 'pipe', env: LAB_ENVIRONMENT });
    child.on('error', () => undefined);
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }
}

/** A server's and a client's namespace, with one wire between them. */
export interface Lab {
  readonly server: Side;
  readonly client: Side;
  /** Loses one in `many` of what arrives at either end, until it is called again; 0: nothing. */
  lose(many: number): Promise<void>;
  close(): Promise<void>;
}

/** Makes a lab. Nothing in it reaches anything outside. */
export async function openLab(): Promise<Lab> {
  const server = await Side.open();
  const client = await Side.open();
  const close = async (): Promise<void> => {
    await client.close();
    await server.close();
  };
  try {
    const ip = (side: Side, ...words: string[]): Promise<Ended> => side.must(['ip', ...words]);
    await ip(server, 'link', 'add', SERVER.interface, 'type', 'veth', 'peer', 'name', CLIENT.interface);
    await ip(server, 'link', 'set', CLIENT.interface, 'netns', String(client.pid));
    for (const [side, end] of [
      [server, SERVER],
      [client, CLIENT],
    ] as const) {
      await ip(side, 'address', 'add', `${end.address}/24`, 'dev', end.interface);
      await ip(side, 'link', 'set', 'lo', 'up');
      await ip(side, 'link', 'set', end.interface, 'up');
    }
    await ip(server, 'route', 'add', CROWD, 'via', CLIENT.address);
    await ip(client, 'route', 'add', 'local', CROWD, 'dev', 'lo');
    return { server, client, lose: (many) => lose(server, client, many), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Loss on arrival, as on a wire: what is dropped on leaving, the sender would be told of. */
async function lose(server: Side, client: Side, many: number): Promise<void> {
  for (const [side, { interface: device }] of [
    [server, SERVER],
    [client, CLIENT],
  ] as const) {
    const rules = `table netdev loss\ndelete table netdev loss\n${
      many === 0
        ? ''
        : `table netdev loss {
  chain arrival {
    type filter hook ingress device ${device} priority 0;
    ether type ip numgen random mod ${many} 0 drop
  }
}\n`
    }`;
    await side.must(['nft', '-f', '-'], 10, rules);
    const { output } = await side.must(['nft', 'list', 'ruleset'], 10);
    if (output.includes('drop') !== many > 0) throw new Error(`no rule that loses packets: ${output}`);
  }
}

function running(child: ChildProcess): Running {
  const pid = child.pid ?? 0;
  return {
    pid,
    cpu: () => cpuOf(pid),
    peak: () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024,
    forgetPeak: () => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
    stop: () => end(child),
  };
}

/** Processor seconds of `pid`, of its children that run and of those that have ended; 0 when it has ended itself. */
function cpuOf(pid: number): number {
  let stat: string;
  let children: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  } catch {
    return 0;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0) / TICKS;
  return children
    .split(' ')
    .filter((child) => child !== '')
    .reduce((sum, child) => sum + cpuOf(Number(child)), own);
}

/** Has `child` end: asks, and insists after five seconds. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const bound = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(bound);
}
