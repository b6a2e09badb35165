import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { packageRoot } from '../site/assets.js';
import { DemoError } from './errors.js';
import type { Lab } from './lab.js';

/** How long `serve` may take to come up, and to end in peace, in milliseconds. */
const startPatience = 30_000;
const stopPatience = 10_000;

/** `rackboot serve`, running in the lab. */
export interface LabServer {
  readonly pid: number;
  readonly url: string; // as nodes reach it
  readonly announcement: readonly string[]; // what it listens on, one line each
  /** What it logged, the last 256 KiB: JSON lines. */
  log(): string;
  /** Ends it as Ctrl-C would, or by force after ten seconds. */
  close(): Promise<void>;
}

/** Starts `bin/rackboot serve` for the site in the lab. Throws DemoError LAB_FAILED with its last words when it does not come up. */
export async function serveInLab(lab: Lab, siteDir: string): Promise<LabServer> {
  const program = join(packageRoot(), 'bin', 'rackboot');
  const child = lab.spawn([program, '--site', siteDir, '--json', 'serve'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let log = '';
  let printed = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (log = (log + chunk).slice(-262_144)));
  const ready = new Promise<{ url: string; announcement: string[] }>((resolve) => {
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      printed += line;
      if (line === '}') resolve(JSON.parse(printed) as { url: string; announcement: string[] });
    });
  });
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const close = async (): Promise<void> => {
    if (isOver()) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), stopPatience);
    await gone;
    clearTimeout(force);
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const started = await Promise.race([
      ready,
      once(child, 'close').then(() => undefined),
      new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), startPatience))),
    ]);
    if (started !== undefined) return { pid: child.pid ?? 0, ...started, log: () => log, close };
  } finally {
    clearTimeout(timer);
  }
  await close();
  const last = log.trim().split('\n').at(-1) ?? '';
  throw new DemoError('LAB_FAILED', `rackboot serve did not start in the lab: ${last || 'it said nothing'}`);
}
