import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { codeOf } from '../errors.js';
import { ImageError } from './errors.js';

/** A program that reads standard input and writes standard output, and the Debian package that brings it. */
export interface FilterProgram {
  readonly program: string;
  readonly args: readonly string[];
  readonly package: string;
}

/** A filter that runs. Whoever starts one must await `stop`. */
export interface Filter {
  readonly input: Writable;
  readonly output: Readable;
  /** Waits for its end. Throws ImageError MISSING_TOOL, or TOOL_FAILED with what it complained about. */
  succeeded(): Promise<void>;
  /** Ends it, wherever it is, and waits until it is gone. */
  stop(): Promise<void>;
}

const MAX_STDERR = 4096; // characters

/** Starts a filter. Errors of its input and output are left to `succeeded`. */
export function startFilter({ program, args, package: debian }: FilterProgram): Filter {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
  let stderr = '';
  let problem: Error | undefined;
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    stderr = (stderr + text).slice(-MAX_STDERR);
  });
  child.stdin.on('error', () => undefined); // a program that ends early closes it
  child.stdout.on('error', () => undefined);
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      problem = error;
      resolve(null);
    });
    child.once('close', (code) => resolve(code));
  });
  return {
    input: child.stdin,
    output: child.stdout,
    async succeeded() {
      const code = await ended;
      if (code === 0 && problem === undefined) return;
      if (codeOf(problem) === 'ENOENT') {
        throw new ImageError(
          'MISSING_TOOL',
          `${program} is missing, and this archive needs it. Install it: apt-get install ${debian}`,
          { cause: problem },
        );
      }
      const lines = stderr.trim().split('\n');
      // tar and bsdtar end with a line that says there were others.
      const said = (
        lines.findLast((line) => !/exit delayed from previous/i.test(line)) ?? lines.at(-1)
      )?.trim();
      throw new ImageError(
        'TOOL_FAILED',
        `${program} failed: ${problem?.message ?? (said === undefined || said === '' ? 'it said nothing' : said)}`,
        { cause: problem },
      );
    },
    async stop() {
      child.kill('SIGKILL');
      child.stdin.destroy();
      child.stdout.destroy();
      await ended;
    },
  };
}

/** The first of `programs` that is installed; the last when none is. */
export async function firstInstalled(
  first: FilterProgram,
  ...others: readonly FilterProgram[]
): Promise<FilterProgram> {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  for (const one of [first, ...others]) {
    for (const directory of directories) {
      const found = await access(join(directory, one.program), constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return one;
    }
  }
  return others.at(-1) ?? first;
}

/** Gives `filter` bytes, and waits while it has enough to do. Says whether it still takes any. */
export async function writeTo({ input }: Filter, ...pieces: readonly Buffer[]): Promise<boolean> {
  if (!input.writable) return false;
  input.cork();
  for (const bytes of pieces) input.write(bytes);
  input.uncork();
  if (input.writableNeedDrain) {
    await new Promise<void>((resolve) => {
      const heard = (): void => {
        input.off('drain', heard).off('close', heard);
        resolve();
      };
      input.on('drain', heard).on('close', heard);
      if (input.destroyed) heard();
    });
  }
  return input.writable;
}

/**
 * What a filter makes of `input`, which is small. Throws ImageError MISSING_TOOL, TOOL_FAILED, or TOO_LARGE for more
 * than `maxOutput` bytes.
 */
export async function filterBytes(
  program: FilterProgram,
  input: Buffer,
  maxOutput = Number.POSITIVE_INFINITY,
): Promise<Buffer> {
  const filter = startFilter(program);
  try {
    filter.input.end(input);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of filter.output as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxOutput) {
        throw new ImageError(
          'TOO_LARGE',
          `${program.program} gives more than the ${maxOutput} bytes expected`,
        );
      }
      chunks.push(chunk);
    }
    await filter.succeeded();
    return Buffer.concat(chunks);
  } finally {
    await filter.stop();
  }
}
