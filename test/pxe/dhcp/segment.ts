import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** Names and addresses on the segment. `other` is a second wire on which nothing is turned on. */
export const SERVER_SIDE = {
  interface: 'srv0',
  address: '10.77.0.1',
  other: 'srv1',
  otherAddress: '10.66.0.1',
} as const;
export const CLIENT_SIDE = { interface: 'cli0', mac: '52:54:00:00:00:07', other: 'cli1' } as const;

export interface CommandResult {
  readonly code: number | null;
  readonly output: string; // standard output and standard error
}

/** A private network namespace, held by a process that dies with this one. */
export class Namespace {
  readonly #holder: ChildProcess;
  readonly #enter: readonly string[];
  readonly #children = new Set<ChildProcess>();

  private constructor(holder: ChildProcess, enter: readonly string[]) {
    this.#holder = holder;
    this.#enter = enter;
  }

  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** A new namespace: as root, or in the user namespace that `inside` (a prefix such as `nsenter …`) enters. */
  static async open(inside: readonly string[], withUser: boolean): Promise<Namespace> {
    const argv = [
      ...inside,
      'unshare',
      ...(withUser ? ['--user', '--map-root-user'] : []),
      '--net',
      'setpriv',
      '--pdeathsig',
      'KILL',
      'sleep',
      '300',
    ];
    const holder = spawn(argv[0] ?? '', argv.slice(1), { stdio: 'ignore' });
    await once(holder, 'spawn');
    const { pid = 0 } = holder;
    for (let tries = 0; readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'sleep'; tries += 1) {
      if (tries > 500 || holder.exitCode !== null)
        throw new Error('no network namespace: run the tests as root');
      await sleep(10);
    }
    const user = process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials'];
    return new Namespace(holder, ['nsenter', '--target', String(pid), ...user, '--net']);
  }

  get enter(): readonly string[] {
    return this.#enter;
  }

  spawn(argv: readonly string[]): ChildProcess {
    const [command = '', ...rest] = [...this.#enter, ...argv];
    const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  /** Runs `argv` to its end, or for `seconds` at most. */
  async run(argv: readonly string[], seconds = 20): Promise<CommandResult> {
    const child = this.spawn(argv);
    let output = '';
    const keep = (text: Buffer): void => void (output += text.toString());
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    const bound = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(bound);
    return { code, output };
  }

  async must(...argv: string[]): Promise<void> {
    const { code, output } = await this.run(argv);
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${output}`);
  }

  async close(): Promise<void> {
    for (const child of [...this.#children, this.#holder]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

/** A server's and a client's namespace with two wires between them. */
export interface Segment {
  readonly server: Namespace;
  readonly client: Namespace;
  /** One more machine on the first wire, in a namespace of its own; its interface is called as the client's. */
  join(mac: string): Promise<Namespace>;
  close(): Promise<void>;
}

/** Makes a segment; checksum offload is off, because DHCP clients drop what a veth leaves unfinished. */
export async function openSegment(): Promise<Segment> {
  const root = process.getuid?.() === 0;
  const server = await Namespace.open([], !root);
  const client = await Namespace.open(root ? [] : server.enter.filter((word) => word !== '--net'), false);
  const joined: Namespace[] = [];
  const join = async (mac: string): Promise<Namespace> => {
    const { interface: wire } = CLIENT_SIDE;
    const machine = await Namespace.open(root ? [] : server.enter.filter((word) => word !== '--net'), false);
    joined.push(machine);
    const name = `m${joined.length}`;
    const macvlan = ['type', 'macvlan', 'mode', 'bridge'];
    await client.must('ip', 'link', 'add', 'link', wire, 'name', name, 'address', mac, ...macvlan);
    await client.must('ethtool', '-K', name, 'tx', 'off');
    await client.must('ip', 'link', 'set', name, 'netns', String(machine.pid));
    await machine.must('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6');
    await machine.must('ip', 'link', 'set', name, 'name', wire);
    for (const device of ['lo', wire]) await machine.must('ip', 'link', 'set', device, 'up');
    return machine;
  };
  const close = async (): Promise<void> => {
    for (const machine of joined) await machine.close();
    await client.close();
    await server.close();
  };
  try {
    const { interface: srv0, other: srv1 } = SERVER_SIDE;
    const { interface: cli0, other: cli1, mac } = CLIENT_SIDE;
    for (const side of [server, client]) {
      await side.must('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6'); // only what a test sends
      await side.must('ip', 'link', 'set', 'lo', 'up');
    }
    for (const [ours, theirs] of [
      [srv0, cli0],
      [srv1, cli1],
    ] as const) {
      await server.must('ip', 'link', 'add', ours, 'type', 'veth', 'peer', 'name', theirs);
      await server.must('ethtool', '-K', ours, 'tx', 'off');
      await server.must('ip', 'link', 'set', theirs, 'netns', String(client.pid));
      await client.must('ethtool', '-K', theirs, 'tx', 'off');
    }
    await server.must('ip', 'address', 'add', `${SERVER_SIDE.address}/24`, 'dev', srv0);
    await server.must('ip', 'address', 'add', `${SERVER_SIDE.otherAddress}/24`, 'dev', srv1);
    await client.must('ip', 'link', 'set', cli0, 'address', mac);
    for (const name of [srv0, srv1]) await server.must('ip', 'link', 'set', name, 'up');
    for (const name of [cli0, cli1]) await client.must('ip', 'link', 'set', name, 'up');
    return { server, client, join, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A program of these tests running in a namespace: it prints one JSON value a line. */
export interface Peer {
  /** The next value for which `matches`, skipping others; throws when none comes in time (20 seconds) or the program ends. */
  next<T>(matches: (value: T) => boolean, seconds?: number): Promise<T>;
  send(value: unknown): void;
  readonly child: ChildProcess;
}

/** Starts `script`, by way of the command `through` when one is given. */
export function startPeer(
  namespace: Namespace,
  script: string,
  args: readonly string[],
  through: readonly string[] = [],
): Peer {
  const child = namespace.spawn([...through, process.execPath, '--enable-source-maps', script, ...args]);
  const values: unknown[] = [];
  let errors = '';
  let wake: () => void = () => undefined;
  let ended = false;
  child.stderr?.on('data', (text: Buffer) => (errors += text.toString()));
  child.once('close', () => {
    ended = true;
    wake();
  });
  if (child.stdout) {
    createInterface(child.stdout).on('line', (line) => {
      values.push(JSON.parse(line));
      wake();
    });
  }
  return {
    child,
    send: (value) => child.stdin?.write(`${JSON.stringify(value)}\n`),
    async next<T>(matches: (value: T) => boolean, seconds = 20): Promise<T> {
      const until = Date.now() + seconds * 1000;
      for (;;) {
        while (values.length > 0) {
          const value = values.shift() as T;
          if (matches(value)) return value;
        }
        if (ended || Date.now() > until)
          throw new Error(`${script}: ${ended ? 'ended' : 'silent'}: ${errors}`);
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), sleep(500)]);
      }
    },
  };
}
