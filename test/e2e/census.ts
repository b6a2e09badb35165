import { inodeOf } from '../../src/image/archive-index.js';
import { collect } from '../../src/image/chunks.js';
import { pathToText } from '../../src/image/cpio/path.js';
import type { OpenArchive } from '../../src/osimage/contents.js';
import { sha256 } from '../../src/store/digest.js';
import { item, type Item } from '../image/newc.js';

/** What stands at each path: mode, owner, links, device numbers, and a file's SHA-256 or a link's target. */
export type Census = Readonly<Record<string, string>>;

const [TYPE, DIRECTORY, FILE, LINK] = [0o170000, 0o040000, 0o100000, 0o120000];

/** The kernel makes these itself, before it unpacks anything. */
const KERNELS_OWN = /^\/(dev|root)(\/|$)/;

const END = 'CENSUS-END';

/** The program that a machine starts as its first: it prints the census of its root, runs /usr/bin/tool, and powers off. */
export const censusInit: Item = item({
  name: 'init',
  mode: 0o100755,
  ino: 90_000,
  data: Buffer.from(`#!/bin/sh
box=/bin/busybox
$box find / -xdev ! -path / -exec $box stat -c 'STAT %f %u:%g %h %t:%T %N' {} +
$box find / -xdev -type f -exec $box sha256sum {} +
[ ! -e /usr/bin/tool ] || /usr/bin/tool
echo ${END}
$box poweroff -f
`),
});

/** The census that a machine printed. Fails with the end of its log when it did not print all of it. */
export function censusOf(serial: string): Census {
  const log = serial.replaceAll('\r', '');
  if (!log.includes(`\n${END}\n`))
    throw new Error(`the machine did not come to its end:\n${log.slice(-3000)}`);
  const digests = new Map(
    [...log.matchAll(/^([0-9a-f]{64}) {2}(\/.*)$/gm)].map(([, digest, path]) => [path, digest]),
  );
  const lines = log.matchAll(/^STAT ([0-9a-f]+) (\d+:\d+) (\d+) ([0-9a-f]+:[0-9a-f]+) (.*)$/gm);
  const census: Record<string, string> = {};
  for (const [, mode = '', owner = '', links = '', device = '', name = ''] of lines) {
    const [, path = name, target] = /^'(.*)' -> '(.*)'$/.exec(name) ?? [];
    if (KERNELS_OWN.test(path)) continue;
    const content = target ?? digests.get(path) ?? '';
    census[path] = describe(parseInt(mode, 16), owner, Number(links), device, content);
  }
  return census;
}

/** The census of a machine that unpacked `items` and nothing else. */
export function censusOfItems(items: readonly Item[]): Census {
  const census: Record<string, string> = {};
  for (const { name, ino, mode, uid, gid, rdev, data } of items) {
    const path = `/${name}`;
    if (KERNELS_OWN.test(path)) continue;
    const names = items.filter((one) => one.ino === ino && (one.mode & TYPE) === (mode & TYPE));
    const kind = mode & TYPE;
    const whole = kind === FILE ? (names.find((one) => one.data.length > 0)?.data ?? data) : data;
    const content = kind === FILE ? sha256(whole) : kind === LINK ? data.toString('latin1') : '';
    const device = rdev.map((number) => number.toString(16)).join(':');
    census[path] = describe(mode, `${uid}:${gid}`, names.length, device, content);
  }
  return census;
}

/** The census of a machine that has just the entries of `archive`, by what rackboot says of them. */
export async function censusOfArchive(archive: Pick<OpenArchive, 'entries' | 'read'>): Promise<Census> {
  const { entries } = archive;
  const census: Record<string, string> = {};
  const names = new Map<string, number>();
  for (const entry of entries) {
    const inode = inodeOf(entry);
    if (inode !== undefined) names.set(inode, (names.get(inode) ?? 0) + 1);
  }
  for (const entry of entries) {
    const { mode, uid, gid, rdevMajor, rdevMinor } = entry.header;
    const path = pathToText(entry.path);
    const kind = mode & TYPE;
    const content =
      kind === FILE ? sha256(await collect(archive.read(entry))) : kind === LINK ? (entry.target ?? '') : '';
    const device = [rdevMajor, rdevMinor].map((number) => number.toString(16)).join(':');
    census[path] = describe(mode, `${uid}:${gid}`, names.get(inodeOf(entry) ?? '') ?? 1, device, content);
  }
  return census;
}

/** A directory's link count is the file system's own. */
function describe(mode: number, owner: string, links: number, device: string, content: string): string {
  const count = (mode & TYPE) === DIRECTORY ? 0 : links;
  return `${mode.toString(8)} ${owner} links=${count} device=${device} ${content}`.trimEnd();
}
