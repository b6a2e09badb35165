import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The compiled program, as bin/rackboot starts it. */
export const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** What a command wrote and how it ended; `status` is null after a signal. */
export interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the real program, below `wrapper` (another command line) when one is given, for two minutes at most. */
export async function runProgram(words: readonly string[], wrapper: readonly string[] = []): Promise<Ended> {
  const [file = '', ...rest] = [...wrapper, process.execPath, program, ...words];
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const limit = setTimeout(() => child.kill('SIGKILL'), 120_000);
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [status] = (await once(child, 'close')) as [number | null];
  clearTimeout(limit);
  return { status, out, err };
}

/** Makes `dir` an installer's: `linux`, and `initrd.gz` with files of this machine's /usr of about `bytes` bytes. */
export async function makeMedia(dir: string, bytes: number): Promise<void> {
  const root = join(dir, '..', `${dir.split('/').at(-1) ?? ''}.root`);
  await mkdir(join(root, 'etc'), { recursive: true });
  await mkdir(join(root, 'lib'));
  await mkdir(dir);
  await writeFile(join(root, 'etc', 'motd'), 'hello\n');
  const library = '/usr/lib/x86_64-linux-gnu';
  let total = 0;
  for (const entry of (await readdir(library, { withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    if (total >= bytes) break;
    if (!entry.isFile()) continue;
    const { size } = await stat(join(library, entry.name));
    if (size > Math.max(bytes / 4, 100_000)) continue;
    await copyFile(join(library, entry.name), join(root, 'lib', entry.name));
    total += size;
  }
  execFileSync('sh', [
    '-c',
    'cd "$1" && find . | sort | cpio --quiet -o -H newc | gzip -1n > "$2"',
    'sh',
    root,
    join(dir, 'initrd.gz'),
  ]);
  await writeFile(join(dir, 'linux'), Buffer.alloc(100_000, 'not a kernel, but a file of its size '));
}
