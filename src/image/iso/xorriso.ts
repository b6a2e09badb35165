import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { codeOf } from '../../errors.js';
import { ImageError } from '../errors.js';

/** A running xorriso whose image comes out of `output`. */
export interface XorrisoRun {
  readonly output: Readable;
  /** Ends it, wherever it is, and waits until it is gone. */
  stop(): Promise<void>;
  /** Why it ended without having written what was needed: call it only after `output` has ended. */
  failure(): Promise<ImageError>;
}

/** What to write, as xorriso is told it. */
export interface XorrisoPlan {
  readonly directory: string; // the tree
  readonly weights: string; // file of "weight /path" lines: the order of the files' bytes
  readonly volumeId: string;
  readonly date: Date;
  readonly diskGuid: string; // 32 hexadecimal digits
  /** `mbr`: file of what starts it from a disk; null where nothing can. */
  readonly bios: {
    readonly kind: 'isolinux' | 'grub';
    readonly bootImage: string;
    readonly catalog: string;
    readonly mbr: string | null;
  } | null;
  readonly uefi: { readonly bootImage: string; readonly catalog: string } | null;
}

const MAX_STDERR = 64 * 1024; // characters

/** Arguments for `xorriso`, which writes the image to file descriptor 3. */
export function xorrisoArguments(plan: XorrisoPlan): string[] {
  const stamp = plan.date
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(0, 14);
  const boot: string[] = [];
  if (plan.bios !== null) {
    boot.push('-b', plan.bios.bootImage, '-c', plan.bios.catalog);
    boot.push('-no-emul-boot', '-boot-load-size', '4', '-boot-info-table');
    if (plan.bios.kind === 'grub') boot.push('--grub2-boot-info');
    if (plan.bios.mbr !== null)
      boot.push(plan.bios.kind === 'grub' ? '--grub2-mbr' : '-isohybrid-mbr', plan.bios.mbr);
  }
  if (plan.uefi !== null) {
    if (plan.bios !== null) boot.push('-eltorito-alt-boot');
    boot.push('-e', plan.uefi.bootImage, '-no-emul-boot');
    if (plan.bios === null) boot.push('-c', plan.uefi.catalog);
    if (plan.bios?.kind === 'isolinux' && plan.bios.mbr !== null) boot.push('-isohybrid-gpt-basdat');
    else boot.push('-efi-boot-part', '--efi-boot-image');
  }
  return [
    ...['-no_rc', '-as', 'mkisofs', '-o', 'stdio:/dev/fd/3', '-quiet', '-input-charset', 'utf-8'],
    ...['-iso-level', '3', '-R', '-J', '-joliet-long', '-uid', '0', '-gid', '0'],
    ...['-V', plan.volumeId, '-p', 'RACKBOOT', '-A', 'RACKBOOT'],
    ...[`--modification-date=${stamp}00`, '--set_all_file_dates', `${stamp}00`],
    ...['--gpt_disk_guid', plan.diskGuid],
    ...boot,
    ...['--sort-weight-list', plan.weights, plan.directory],
  ];
}

/** Starts xorriso. It writes only as fast as `output` is read. */
export function startXorriso(plan: XorrisoPlan): XorrisoRun {
  const seconds = Math.floor(plan.date.getTime() / 1000);
  const child = spawn('xorriso', xorrisoArguments(plan), {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, SOURCE_DATE_EPOCH: String(seconds), TZ: 'UTC', LC_ALL: 'C.UTF-8' },
  });
  let stderr = '';
  let problem: Error | undefined;
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-MAX_STDERR);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      problem = error;
      resolve();
    });
    child.once('close', () => resolve());
  });
  const output = child.stdio[3] as Readable;
  output.on('error', () => undefined); // a reset by the killed child; reads report the end
  return {
    output,
    async stop() {
      child.kill('SIGKILL');
      output.destroy();
      await ended;
    },
    async failure() {
      await ended;
      if (codeOf(problem) === 'ENOENT') {
        return new ImageError(
          'MISSING_TOOL',
          'xorriso is missing, and writing an ISO image needs it. Install it: apt-get install xorriso',
          { cause: problem },
        );
      }
      return new ImageError('TOOL_FAILED', `xorriso could not lay out the image: ${lastComplaint(stderr)}`);
    },
  };
}

function lastComplaint(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => /: (FAILURE|SORRY|FATAL|MISHAP|ABORT) :/.test(line));
  return (lines[0] ?? stderr.trim().split('\n').at(-1) ?? '').replace(/^xorriso : /, '') || 'it said nothing';
}
