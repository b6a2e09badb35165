import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The kernel of Debian's installer, as its package ships it. */
export const KERNEL = '/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux';
export const KERNEL_PACKAGE = 'debian-installer-12-netboot-amd64';

/** When a machine is killed, in milliseconds: a boot under software emulation on busy processors takes a minute. */
export const BOOT_LIMIT_MS = 240_000;

/**
 * Runs a machine without a network until it powers itself off, at most BOOT_LIMIT_MS, in an existing directory that
 * relative paths among its options begin from; what it wrote to its serial port.
 */
export async function runMachine(directory: string, options: readonly string[]): Promise<string> {
  const log = join(directory, 'serial.log');
  const common = [
    ...['-accel', 'tcg,thread=multi', '-smp', '1'],
    ...['-display', 'none', '-no-reboot', '-nic', 'none'],
  ];
  const child = spawn('qemu-system-x86_64', [...common, '-serial', `file:${log}`, ...options], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), BOOT_LIMIT_MS);
  try {
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    await new Promise<void>((resolve, reject) => {
      child.once('error', () =>
        reject(new Error('qemu-system-x86_64 is missing: apt-get install qemu-system-x86')),
      );
      child.once('close', () => resolve());
    });
    return complaints + (await readFile(log, 'latin1').catch(() => ''));
  } finally {
    clearTimeout(limit);
    child.kill('SIGKILL');
  }
}

/** The content of a file that a Debian package installs. Fails naming the package when it is not there. */
export async function debianFile(path: string, packageName: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`${path} is missing: apt-get install ${packageName}`, { cause: error });
  }
}
