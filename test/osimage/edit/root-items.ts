import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { item, type Item } from '../../image/newc.js';

const [DIR, LINK, EXECUTABLE] = [0o040755, 0o120777, 0o100755];

/** A small image that a command can run in: busybox with its libraries, /etc/motd, and files of other owners. */
export function rootItems(): Item[] {
  const busybox = whereIs('busybox');
  const libraries = execFileSync('ldd', [busybox], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  const files = new Map<string, Partial<Item>>([
    ['bin/busybox', { mode: EXECUTABLE, data: readFileSync(busybox) }],
    ['bin/sh', { mode: LINK, data: Buffer.from('busybox') }],
    ...libraries.map(
      (file) => [file.slice(1), { mode: EXECUTABLE, data: readFileSync(file) }] as [string, Partial<Item>],
    ),
    ['etc/motd', { data: Buffer.from('hello\n') }],
    ['etc/passwd', { data: Buffer.from('root:x:0:0::/root:/bin/sh\n') }],
    ['etc/link', { mode: LINK, data: Buffer.from('motd') }],
    ['home/own', { uid: 7, gid: 8, mode: 0o100640, data: Buffer.from('own\n') }],
    ['home/one', { ino: 7000, nlink: 2 }],
    ['home/two', { ino: 7000, nlink: 2, data: Buffer.from('linked\n') }],
    ['dev/console', { mode: 0o020600, rdev: [5, 1] }],
  ]);
  const directories = new Set<string>();
  for (const name of files.keys()) {
    const parts = name.split('/').slice(0, -1);
    parts.forEach((_, at) => directories.add(parts.slice(0, at + 1).join('/')));
  }
  return [
    ...[...directories].sort().map((name) => item({ name, mode: DIR, nlink: 2 })),
    ...[...files].map(([name, fields]) => item({ name, ...fields })),
  ].map((one, at) => ({ ...one, ino: one.ino === 0 ? at + 1 : one.ino, mtime: 1_000_000_000 }));
}

function whereIs(program: string): string {
  try {
    return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
  } catch {
    throw new Error(`${program} is missing; install the Debian package ${program}`);
  }
}
