import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { codeOf } from '../errors.js';
import { RepoError } from './errors.js';

/** A call of a program, the Debian package that brings it, and what it may see. */
export interface Call {
  readonly program: string;
  readonly args: readonly string[];
  readonly package: string;
  readonly cwd?: string;
  readonly input?: Buffer;
  readonly env?: Readonly<Record<string, string>>; // beside PATH, HOME and LC_ALL, which are all it gets otherwise
  readonly timeout?: number; // milliseconds
  readonly signal?: AbortSignal; // ends the program
}

/** What a program that has ended left. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TIMEOUT = 3_600_000; // milliseconds
const PATIENCE = 5000; // with one that was told to end

/** Runs a program to its end, whatever its exit status. Throws RepoError MISSING_TOOL, or TOOL_FAILED when it was killed. */
export async function run(call: Call): Promise<Ended> {
  const child = spawn(call.program, call.args, {
    stdio: [call.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(call.cwd === undefined ? {} : { cwd: call.cwd }),
    ...(call.signal === undefined ? {} : { signal: call.signal }),
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '/',
      LC_ALL: 'C.UTF-8',
      ...call.env,
    },
  });
  const forget = endWithUs(child);
  let isLate = false;
  let bound = setTimeout(() => {
    isLate = true;
    child.kill();
    bound = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  }, call.timeout ?? TIMEOUT);
  child.stdin?.on('error', () => undefined); // a program that ends early closes it
  child.stdin?.end(call.input);
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
  const { code, why, problem } = await endOf(child);
  clearTimeout(bound);
  forget();
  if (codeOf(problem) === 'ENOENT') {
    throw new RepoError(
      'MISSING_TOOL',
      `${call.program} is missing. Install it: apt-get install ${call.package}`,
      { cause: problem },
    );
  }
  if (isLate || code === null || problem !== undefined) {
    throw new RepoError('TOOL_FAILED', `${call.program} was ended: ${isLate ? 'it took too long' : why}`, {
      cause: problem,
    });
  }
  return { code, stdout: stdout(), stderr: stderr() };
}

interface End {
  readonly code: number | null; // null when it was killed
  readonly why: string; // it was killed, or did not start
  readonly problem?: Error;
}

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    let problem: Error | undefined;
    child.once('error', (error) => {
      problem = error;
      // One that runs is told to end; one that did not start never closes.
      if (child.pid === undefined) resolve({ code: null, why: codeOf(error) ?? 'it did not start', problem });
    });
    child.once('close', (code, signal) =>
      resolve({
        code,
        why: codeOf(problem) ?? signal ?? 'it did not start',
        ...(problem === undefined ? {} : { problem }),
      }),
    );
  });
}

/** Gathers what a stream gives; the text so far, without its last line’s end. */
function textOf(stream: Readable | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8').replace(/\n$/, '');
}

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** Programs that run, which end with this process. */
const running = new Set<ChildProcess>();

/** Ends `child` when this process exits or a signal ends it; the function that is called when it has ended. */
function endWithUs(child: ChildProcess): () => void {
  if (running.size === 0) {
    process.on('exit', endAll);
    for (const signal of SIGNALS) process.on(signal, signalled);
  }
  running.add(child);
  return () => {
    if (running.delete(child) && running.size === 0) stopListening();
  };
}

function signalled(signal: NodeJS.Signals): void {
  endAll();
  running.clear();
  stopListening();
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal); // nobody else minds it
}

function endAll(): void {
  for (const child of running) child.kill();
}

function stopListening(): void {
  process.off('exit', endAll);
  for (const signal of SIGNALS) process.off(signal, signalled);
}

/** Runs a program that must succeed and gives back what it printed. Throws RepoError MISSING_TOOL, TOOL_FAILED. */
export async function output(call: Call): Promise<string> {
  const { code, stdout, stderr } = await run(call);
  if (code !== 0) throw new RepoError('TOOL_FAILED', `${call.program} failed: ${lastLine(stderr, stdout)}`);
  return stdout;
}

/** The last line that a program complained with. */
export function lastLine(...texts: readonly string[]): string {
  const lines = texts.map((text) => text.trim().split('\n').at(-1)?.trim() ?? '');
  return lines.find((line) => line !== '') ?? 'it said nothing';
}
