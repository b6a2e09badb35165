import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { messageOf } from '../errors.js';
import { DemoError } from './errors.js';
import { bridge, holderScript, mendFor, serverAddress, serverNetwork, type LabStep } from './namespace.js';

/** What a command in the lab left behind. */
export interface CommandResult {
  readonly code: number | null; // null: ended by a signal
  readonly stdout: string;
  readonly stderr: string;
}

/** Whether a lab can be made here, and how; else why not, and what would change that. */
export type LabRights =
  | { readonly ok: true; readonly how: 'root' | 'user namespace' }
  | { readonly ok: false; readonly reason: string; readonly mend: string };

/** How long the holder may take to set the lab up or to sweep it, in milliseconds. */
const holderPatience = 10_000;

/** At most this much of a command's output is kept, in characters. */
const keptOutput = 1024 * 1024;

const unshareArguments = {
  root: ['--net'],
  'user namespace': ['--user', '--map-root-user', '--net'],
} as const;

type How = keyof typeof unshareArguments;

/** Makes a lab and takes it down again: the only honest way to know. */
export async function canMakeLab(): Promise<LabRights> {
  try {
    const lab = await Lab.open();
    await lab.close();
    return { ok: true, how: lab.how };
  } catch (error) {
    if (error instanceof LabRefusal) return { ok: false, reason: error.reason, mend: error.mend };
    return { ok: false, reason: messageOf(error), mend: 'run as root.' };
  }
}

class LabRefusal extends DemoError {
  constructor(
    readonly reason: string,
    readonly mend: string,
  ) {
    super('NO_LAB', `no private network here: ${reason}; ${mend}`);
  }
}

/**
 * One private network namespace, held by a child process: a bridge with the server's address and a tap for each
 * machine. Nothing in it is routed anywhere, and IPv6 is off. It ends, with every process in it, when it is closed or
 * when this process dies, however that happens: the holder sees its standard input end, and kills what is left.
 */
export class Lab {
  readonly how: How;
  /** The server's address on the bridge, and the network it lies in. */
  readonly address = serverAddress;
  readonly network = serverNetwork;
  /** The bridge: the interface a DHCP server in the lab answers on. */
  readonly interface = bridge;
  readonly #holder: ChildProcess;
  readonly #pid: number;
  #taps = 0;
  #closing: Promise<void> | undefined;

  private constructor(how: How, holder: ChildProcess, pid: number) {
    this.how = how;
    this.#holder = holder;
    this.#pid = pid;
  }

  /** Makes a lab: as root, else with a user namespace. Throws DemoError NO_LAB with the reason and the mend. */
  static async open(): Promise<Lab> {
    const asRoot = process.getuid?.() === 0;
    try {
      return await Lab.#hold(asRoot ? 'root' : 'user namespace');
    } catch (error) {
      if (!asRoot || !(error instanceof LabRefusal)) throw error;
      return await Lab.#hold('user namespace').catch(() => {
        throw error;
      });
    }
  }

  static async #hold(how: How): Promise<Lab> {
    const holder = spawn('unshare', [...unshareArguments[how], 'sh', '-c', holderScript], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true, // Ctrl-C at the terminal must not reach it before we have stopped what runs in the lab
    });
    let failure = '';
    holder.stderr
      .setEncoding('utf8')
      .on('data', (chunk: string) => (failure = (failure + chunk).slice(-1024)));
    holder.stdin.on('error', () => undefined); // it may be gone already
    const outcome = await Promise.race([
      firstLine(holder.stdout),
      once(holder, 'error').then(([error]) => messageOf(error)),
      delay(holderPatience).then(() => `the holder did not answer within ${holderPatience / 1000} s`),
    ]);
    if (outcome === 'ready' && holder.pid !== undefined) return new Lab(how, holder, holder.pid);
    holder.kill('SIGKILL');
    const [step, ...rest] = outcome.split(' ');
    if (step === 'failed') throw new LabRefusal(rest.slice(1).join(' '), mendFor(rest[0] as LabStep));
    throw new LabRefusal(
      failure.trim().split('\n').at(-1) || outcome || 'unshare failed',
      mendFor('namespace'),
    );
  }

  /** The command line that runs `argv` inside the lab; for those who start processes themselves. */
  command(argv: readonly string[]): readonly string[] {
    const user = this.how === 'root' ? [] : ['--user', '--preserve-credentials'];
    return ['nsenter', '--target', String(this.#pid), ...user, '--net', '--', ...argv];
  }

  /** Starts `argv` inside the lab. It is killed when the lab is closed; ending it in peace is the caller's part. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    if (this.#closing !== undefined || hasEnded(this.#holder)) {
      throw new DemoError('LAB_FAILED', `the lab is closed: cannot run ${argv.join(' ')}; open another one.`);
    }
    const [program = '', ...rest] = this.command(argv);
    return spawn(program, rest, options);
  }

  /** Runs `argv` inside the lab to its end; `withinMs` (default 60 s) bounds it. Throws DemoError when it cannot be started. */
  async run(
    argv: readonly string[],
    options: { withinMs?: number; input?: string } = {},
  ): Promise<CommandResult> {
    const { withinMs = 60_000, input = '' } = options;
    const child = this.spawn(argv, { stdio: 'pipe', timeout: withinMs, killSignal: 'SIGKILL' });
    let stdout = '';
    let stderr = '';
    child.stdout
      ?.setEncoding('utf8')
      .on('data', (chunk: string) => (stdout = (stdout + chunk).slice(-keptOutput)));
    child.stderr
      ?.setEncoding('utf8')
      .on('data', (chunk: string) => (stderr = (stderr + chunk).slice(-keptOutput)));
    child.stdin?.on('error', () => undefined).end(input);
    try {
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, stdout, stderr };
    } catch (error) {
      throw new DemoError('LAB_FAILED', `cannot run ${argv.join(' ')} in the lab: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Adds a tap interface to the bridge and gives back its name. */
  async addTap(): Promise<string> {
    const tap = `tap${this.#taps++}`;
    await this.#ip('tuntap', 'add', 'dev', tap, 'mode', 'tap');
    await this.#ip('link', 'set', 'dev', tap, 'master', bridge, 'up');
    return tap;
  }

  /** Removes a tap that addTap gave. */
  async removeTap(tap: string): Promise<void> {
    if (this.#closing === undefined) await this.#ip('link', 'delete', 'dev', tap);
  }

  /** Kills every process in the lab and gives the namespace back. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    if (hasEnded(this.#holder)) return;
    const ended = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    const swept = await Promise.race([ended.then(() => true), delay(holderPatience).then(() => false)]);
    if (!swept) {
      this.#holder.kill('SIGKILL');
      await ended;
    }
  }

  async #ip(...args: string[]): Promise<void> {
    const { code, stderr } = await this.run(['ip', ...args]);
    if (code !== 0)
      throw new DemoError('LAB_FAILED', `the lab: ip ${args.join(' ')} failed: ${stderr.trim()}`);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The first line of `stream`, or '' when it ends without one. */
async function firstLine(stream: Readable): Promise<string> {
  for await (const line of createInterface({ input: stream })) return line;
  return '';
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
