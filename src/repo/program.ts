import { execa } from 'execa';
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

/** Runs a program to its end, whatever its exit status. Throws RepoError MISSING_TOOL, or TOOL_FAILED when it was killed. */
export async function run(call: Call): Promise<Ended> {
  const result = await execa(call.program, call.args, {
    ...(call.input === undefined ? { stdin: 'ignore' } : { input: call.input }),
    ...(call.cwd === undefined ? {} : { cwd: call.cwd }),
    reject: false,
    timeout: call.timeout ?? TIMEOUT,
    ...(call.signal === undefined ? {} : { cancelSignal: call.signal }),
    extendEnv: false,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '/',
      LC_ALL: 'C.UTF-8',
      ...call.env,
    },
  });
  if (result.code === 'ENOENT' && result.exitCode === undefined) {
    throw new RepoError(
      'MISSING_TOOL',
      `${call.program} is missing. Install it: apt-get install ${call.package}`,
      { cause: result },
    );
  }
  if (result.exitCode === undefined) {
    const why = result.timedOut
      ? 'it took too long'
      : (codeOf(result) ?? result.signal ?? 'it did not start');
    throw new RepoError('TOOL_FAILED', `${call.program} was ended: ${why}`, { cause: result });
  }
  return { code: result.exitCode, stdout: result.stdout, stderr: result.stderr };
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
