import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** What a program that has ended left. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

const PACKAGES: Readonly<Record<string, string>> = {
  bsdcpio: 'libarchive-tools',
  bsdtar: 'libarchive-tools',
  createrepo_c: 'createrepo-c',
  rpmbuild: 'rpm',
  '/usr/sbin/depmod': 'kmod',
  '/usr/sbin/modprobe': 'kmod',
  mksquashfs: 'squashfs-tools',
  tar2sqfs: 'squashfs-tools-ng',
  sqfs2tar: 'squashfs-tools-ng',
  unsquashfs: 'squashfs-tools',
  xz: 'xz-utils',
};

/** Runs a program of Debian's with `input`, for at most a minute. Fails naming the package when it is not installed. */
export async function run(
  program: string,
  args: readonly string[],
  input: Buffer = Buffer.alloc(0),
  cwd = os.tmpdir(),
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, LC_ALL: 'C' }, timeout: 180_000 });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => undefined); // a program may stop reading at the trailer
    child.on('error', () =>
      reject(new Error(`${program} does not run: apt-get install ${PACKAGES[program] ?? program}`)),
    );
    child.on('close', (code) =>
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('latin1') }),
    );
    child.stdin.end(input);
  });
}

/** Runs a program that must end with code 0 and gives back its standard output. */
export async function output(
  program: string,
  args: readonly string[],
  input?: Buffer,
  cwd?: string,
): Promise<Buffer> {
  const { code, stdout, stderr } = await run(program, args, input, cwd);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stderr.slice(0, 500)}`);
  return stdout;
}

/** The names that GNU cpio lists, latin-1, in archive order. */
export async function cpioNames(plain: Buffer): Promise<string[]> {
  const listed = await output('cpio', ['-t', '-0', '--quiet'], plain);
  return listed.toString('latin1').split('\0').slice(0, -1);
}

/** Calls `body` with an empty directory that is gone afterwards. */
export async function inDirectory<T>(body: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'rackboot-image-'));
  try {
    return await body(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
