import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { messageOf } from '../errors.js';
import { acceleratorArguments, headlessArguments, paths } from './qemu.js';
import { SerialTranscript } from './serial.js';

/** How QEMU runs the guest's instructions: on the processor, or in software. */
export type Accelerator = 'kvm' | 'tcg';

/** The accelerator to use, and on one line why. */
export interface Acceleration {
  readonly accelerator: Accelerator;
  readonly reason: string;
}

/** What the probe needs; the defaults are this machine's. */
export interface ProbeOptions {
  readonly device?: string; // default /dev/kvm
  readonly accelerator?: Accelerator; // what is put to the proof, default kvm
  readonly kernel?: string; // default: the Debian installer's
  readonly withinMs?: number; // default 10,000; a working processor needs less than two seconds
}

/**
 * KVM where a probe boot proves that it works, else software emulation. The proof is a Linux kernel that comes up as
 * far as looking for its root file system: on machines that are virtual themselves KVM may carry the firmware, and
 * even a boot sector, and then hang in the kernel.
 */
export async function chooseAcceleration(options: ProbeOptions = {}): Promise<Acceleration> {
  const { device = '/dev/kvm', accelerator = 'kvm', kernel = paths.probeKernel, withinMs = 10_000 } = options;
  try {
    await access(device, constants.R_OK | constants.W_OK);
  } catch (error) {
    return { accelerator: 'tcg', reason: `KVM cannot be used: ${messageOf(error)}` };
  }
  try {
    const ms = await probe(accelerator, kernel, withinMs);
    return { accelerator, reason: `a kernel booted under ${accelerator} in ${ms} ms` };
  } catch (error) {
    return { accelerator: 'tcg', reason: `KVM is there but does not work: ${messageOf(error)}` };
  }
}

/** Boots the kernel without a root file system; gives the milliseconds until it said so. */
async function probe(accelerator: Accelerator, kernel: string, withinMs: number): Promise<number> {
  const started = performance.now();
  const transcript = new SerialTranscript('probe', () => Math.round(performance.now() - started));
  const guest = spawn(
    paths.qemu,
    [
      ...['-name', 'rackboot-probe', '-machine', 'pc,graphics=off', '-m', '256'],
      ...acceleratorArguments(accelerator),
      ...headlessArguments,
      ...['-kernel', kernel, '-append', 'console=ttyS0 panic=-1'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const gone = new Promise<void>((resolve) =>
    guest.once('close', () => resolve()).once('error', () => resolve()),
  );
  let complaint = '';
  guest.stdout.setEncoding('latin1').on('data', (chunk: string) => transcript.feed(chunk));
  guest.stderr
    .setEncoding('utf8')
    .on('data', (chunk: string) => (complaint = (complaint + chunk).slice(0, 1024)));
  guest.once('error', (error) => transcript.end(messageOf(error)));
  guest.once('close', () => transcript.end(`QEMU ended (${firstLine(complaint) || 'without a word'})`));
  try {
    return (await transcript.waitFor(/Kernel panic - not syncing: VFS/, { withinMs })).ms;
  } finally {
    guest.kill('SIGKILL');
    await gone;
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
