import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** What one run of a program took. */
export interface Run {
  readonly seconds: number; // wall time
  readonly peak: number | undefined; // bytes of memory at most, of a Node program
  readonly output: string; // what it wrote to standard output
}

const LIMIT = 30 * 60_000;
const PEAK_REPORTER = fileURLToPath(new URL('peak-memory.js', import.meta.url));

/** Runs `command` with bash, every part of its pipelines checked. Throws when it fails, with what it said. */
export function shell(command: string, directory: string): Promise<Run> {
  return run('bash', ['-euo', 'pipefail', '-c', command], directory, {});
}

/** Runs a Node program and measures its memory too. */
export async function node(script: string, args: readonly string[], directory: string): Promise<Run> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'rackboot-peak-'));
  const peakFile = path.join(scratch, 'peak');
  try {
    const result = await run(process.execPath, ['--import', PEAK_REPORTER, script, ...args], directory, {
      RACKBOOT_PEAK_FILE: peakFile,
    });
    return { ...result, peak: Number(await readFile(peakFile, 'utf8')) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The run of the middle time of `times` runs. */
export async function median(times: number, once_: (index: number) => Promise<Run>): Promise<Run> {
  const runs: Run[] = [];
  for (let index = 0; index < times; index++) runs.push(await once_(index));
  runs.sort((a, b) => a.seconds - b.seconds);
  return runs[Math.floor(times / 2)]!;
}

async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<Run> {
  const started = process.hrtime.bigint();
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, LC_ALL: 'C', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  let complaint = '';
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => (complaint = (complaint + bytes.toString()).slice(-2000)));
  const bound = setTimeout(() => child.kill('SIGKILL'), LIMIT);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(bound);
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${signal ?? code}: ${complaint}`);
  return { seconds, peak: undefined, output: Buffer.concat(output).toString() };
}
