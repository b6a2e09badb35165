import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { messageOf } from '../errors.js';
import { DemoError } from './errors.js';
import type { Lab } from './lab.js';
import { machineArguments, paths, type MachineSpec } from './qemu.js';
import { SerialTranscript, type Sighting, type WaitBound } from './serial.js';

/** A machine that is not stopped by then is killed, in milliseconds. */
const defaultLifetime = 15 * 60_000;

export interface MachineOptions {
  readonly serialFile?: string; // also write the raw serial output here
  readonly lifetimeMs?: number; // default 15 minutes
}

/** How a machine ended. */
export interface MachineEnd {
  readonly kind: 'stopped' | 'killed' | 'failed'; // the guest powered off or reset; we killed it; QEMU complained
  readonly message: string;
}

/** A running virtual machine. */
export interface Machine {
  readonly name: string;
  readonly pid: number;
  /** What it wrote to its serial port. */
  readonly serial: SerialTranscript;
  /** Resolves, never rejects, when the machine is gone. */
  readonly ended: Promise<MachineEnd>;
  /** The first match in what the machine wrote or writes to its serial port; see SerialTranscript. */
  waitFor(pattern: RegExp, bound?: WaitBound): Promise<Sighting>;
  /** Kills the machine, if it still runs, and removes its files and its tap. Safe to call again. */
  close(): Promise<void>;
}

/** Starts a machine in the lab. Throws DemoError MACHINE_FAILED when its firmware or QEMU is missing. */
export async function startMachine(
  lab: Lab,
  spec: MachineSpec,
  options: MachineOptions = {},
): Promise<Machine> {
  const directory = await mkdtemp(join(tmpdir(), `rackboot-${spec.name}-`));
  let tap: string | undefined;
  const tidy = async (): Promise<void> => {
    await rm(directory, { recursive: true, force: true });
    if (tap !== undefined) await lab.removeTap(tap).catch(() => undefined); // the lab may be gone first
  };
  try {
    const variables = join(directory, 'variables.fd');
    if (spec.firmware === 'uefi') await copyFile(paths.ovmfVariables, variables);
    if (spec.firmware === 'uefi-secure') await copyFile(paths.secureVariables, variables);
    tap = await lab.addTap();
    return await launch(lab, spec, machineArguments(spec, { tap, variables }), tidy, options);
  } catch (error) {
    await tidy();
    if (error instanceof DemoError) throw error;
    throw new DemoError(
      'MACHINE_FAILED',
      `machine ${spec.name}: ${messageOf(error)}; install the packages qemu-system-x86, ipxe-qemu and ovmf.`,
      { cause: error },
    );
  }
}

async function launch(
  lab: Lab,
  spec: MachineSpec,
  qemu: readonly string[],
  tidy: () => Promise<void>,
  options: MachineOptions,
): Promise<Machine> {
  const started = performance.now();
  const serial = new SerialTranscript(spec.name, () => Math.round(performance.now() - started));
  const guest = lab.spawn([paths.qemu, ...qemu], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const file = options.serialFile === undefined ? undefined : createWriteStream(options.serialFile);
  file?.on('error', (error) => serial.feed(`\n${options.serialFile ?? ''}: ${messageOf(error)}\n`));
  let complaint = '';
  let killed: string | undefined;
  guest.stdout?.on('data', (chunk: Buffer) => {
    file?.write(chunk);
    serial.feed(chunk.toString('latin1'));
  });
  guest.stderr
    ?.setEncoding('utf8')
    .on('data', (chunk: string) => (complaint = (complaint + chunk).slice(-2048)));
  const kill = (why: string): void => {
    killed ??= why;
    guest.kill('SIGKILL');
  };
  const lifetime = setTimeout(() => kill('its time was over'), options.lifetimeMs ?? defaultLifetime);
  const ended = once(guest, 'close').then(async ([code]): Promise<MachineEnd> => {
    clearTimeout(lifetime);
    const end = describeEnd(code as number | null, killed, complaint);
    serial.end(`the machine ended (${end.message})`);
    if (file !== undefined) await finished(file.end()).catch(() => undefined);
    await tidy();
    return end;
  });
  ended.catch(() => undefined); // a failed spawn is thrown below
  await once(guest, 'spawn');
  return {
    name: spec.name,
    pid: guest.pid ?? 0,
    serial,
    ended,
    waitFor: (pattern, bound) => serial.waitFor(pattern, bound),
    async close() {
      kill('closed');
      await ended;
    },
  };
}

function describeEnd(code: number | null, killed: string | undefined, complaint: string): MachineEnd {
  if (killed !== undefined) return { kind: 'killed', message: killed };
  if (code === 0) return { kind: 'stopped', message: 'it powered off or reset' };
  const said = complaint.trim().split('\n').at(-1) ?? '';
  return { kind: 'failed', message: said === '' ? `QEMU ended with ${code ?? 'a signal'}` : said };
}
