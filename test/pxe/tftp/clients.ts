import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { HOST } from './serving.js';

/** A real TFTP client: the command that fetches `file` from `port` of `host` into `out`. */
export interface RealClient {
  readonly name: string;
  readonly package: string; // Debian's
  readonly smallest: number; // bytes: curl 7.88 fails on the answer that an empty file has no bytes
  command(host: string, port: number, file: string, out: string): readonly string[];
}

const tftp = (mode: string, name: string): RealClient => ({
  name,
  package: 'tftp-hpa',
  smallest: 0,
  command: (host, port, file, out) => ['tftp', '-m', mode, host, String(port), '-c', 'get', file, out],
});

const atftp = (...options: string[]): RealClient => ({
  name: ['atftp', ...options].join(' '),
  package: 'atftp',
  smallest: 0,
  command: (host, port, file, out) => [
    'atftp',
    ...options.flatMap((option) => ['--option', option]),
    ...['-g', '-r', file, '-l', out, host, String(port)],
  ],
});

const curl = (...flags: string[]): RealClient => ({
  name: ['curl', ...flags].join(' '),
  package: 'curl',
  smallest: flags.includes('--tftp-no-options') ? 0 : 1,
  command: (host, port, file, out) => [
    'curl',
    '-sS',
    '--max-time',
    '120',
    ...flags,
    '-o',
    out,
    `tftp://${host.includes(':') ? `[${host}]` : host}:${port}/${file}`,
  ],
});

const busybox = (...flags: string[]): RealClient => ({
  name: ['busybox tftp', ...flags].join(' '),
  package: 'busybox',
  smallest: 0,
  command: (host, port, file, out) => [
    'busybox',
    'tftp',
    '-g',
    ...flags,
    '-r',
    file,
    '-l',
    out,
    host,
    String(port),
  ],
});

/** The Debian clients, with and without options; each must get every file as it is. */
export const REAL_CLIENTS: readonly RealClient[] = [
  tftp('binary', 'tftp-hpa'),
  atftp(),
  atftp('blksize 1468'),
  atftp('blksize 1468', 'windowsize 16'),
  atftp('tsize', 'timeout 2', 'windowsize 64'),
  curl(),
  curl('--tftp-no-options'),
  curl('--tftp-blksize', '1468'),
  busybox(),
  busybox('-b', '1468'),
];

export const NETASCII_CLIENT = tftp('netascii', 'tftp-hpa in netascii');

/** What `client` fetched. Throws, with what it said, when it fails or takes more than two minutes. */
export async function fetchWith(
  client: RealClient,
  port: number,
  file: string,
  out: string,
  host = HOST,
): Promise<Buffer> {
  const [program = '', ...args] = client.command(host, port, file, out);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output += text.toString()));
  const bound = setTimeout(() => child.kill('SIGKILL'), 120_000);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`${client.name}: exit ${code}: ${output}`);
    return await readFile(out);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
    throw new Error(
      `${client.name} fetched nothing: ${output || `is the Debian package ${client.package} installed?`}`,
      { cause: error },
    );
  } finally {
    clearTimeout(bound);
    await rm(out, { force: true });
  }
}
