import { createHash } from 'node:crypto';
import path from 'node:path';
import { S_IFLNK, S_IFREG, isRegular } from '../../../image/cpio/header.js';
import { pathFromText } from '../../../image/cpio/path.js';
import { contentOf, type Edit } from '../../../image/edit.js';
import { exlistKeeps, readExlist, type Exlist } from '../../../image/exlist.js';
import { alterEntries, newestOf, openGathered } from '../../../image/unpacked/alter.js';
import type { GatheredEntry } from '../../../image/unpacked/gather.js';
import { OsimageError } from '../../errors.js';
import { withRootHash } from './accounts.js';
import { isLocalDirectory, putLocal } from './local-edits.js';
import { applySynclist, readImageText, textOf } from './sync.js';

/** What packing does to a root file system besides, as packimage does it; nothing of it is done to the directory. */
export interface RootOptions {
  readonly exlists: readonly string[]; // files
  readonly synclists: readonly string[]; // files
  readonly postscripts?: string; // a directory of scripts: xCAT's <installdir>/postscripts
  readonly xcatinfo?: boolean; // whether /opt/xcat/xcatinfo is written
  readonly rootHash?: string; // for /etc/shadow (accounts.ts: requireHash)
  readonly timezone?: string; // a name below /usr/share/zoneinfo
}

/** What preparing a root file system takes. */
export interface RootContext {
  readonly osimage: string;
  readonly stateless: boolean; // of xCAT's family: its own leftovers are always left out
  readonly privileged: boolean; // whether local files' owners mean something in the image: as root
  readonly epoch?: number; // of what is made anew, seconds; by default the newest entry's time
  readonly note: (line: string) => void;
}

/** What packimage leaves out of every image. */
export const ALWAYS_OUT: readonly string[] = [
  './etc/init.d/statelite',
  './etc/rc.sysinit.backup',
  './.statelite*',
  './.default*',
  './.statebackup*',
];

/**
 * `entries` as they are to be packed: with postscripts, time zone, root's password, synclists, without what the exlist
 * leaves out, and with xcatinfo. Throws OsimageError BAD_SETTING, BAD_SYNCLIST, BAD_SOURCE, ImageError.
 */
export async function prepareRoot(
  entries: readonly GatheredEntry[],
  options: RootOptions,
  context: RootContext,
): Promise<GatheredEntry[]> {
  const mtime = context.epoch ?? newestOf(entries);
  let now = [...entries];
  const alter = (edits: readonly Edit[]): void => {
    now = alterEntries(now, edits, mtime);
  };
  if (options.postscripts !== undefined) alter(await postscriptEdits(options.postscripts));
  const zone = options.timezone === undefined ? undefined : zoneOf(now, options.timezone);
  if (zone !== undefined) alter(zone.edits);
  if (options.rootHash !== undefined) alter(await shadowEdits(now, options.rootHash));
  for (const file of options.synclists) {
    const owners = context.privileged ? 'kept' : 'root';
    now = await applySynclist(now, file, { owners, mtime, note: context.note });
  }
  const exlist = await exlistOf(options.exlists, zone?.keep ?? [], context);
  if (exlist.exclude.length > 0) alter([{ op: 'thin', keeps: exlistKeeps(exlist), from: 'exlist' }]);
  if (options.xcatinfo === true) alter(xcatinfoEdits(now, context.osimage, mtime, options.rootHash));
  return now;
}

/** xCAT's postscripts in /xcatpost, in place of what is there, and its boot script where it looks for that. */
async function postscriptEdits(directory: string): Promise<Edit[]> {
  const from = `postscripts ${directory}`;
  if (!(await isLocalDirectory(directory))) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${directory}: no directory; give that of xCAT’s postscripts, which is /install/postscripts`,
    );
  }
  const rules = { from, owners: 'root' } as const;
  const scripts = await putLocal(directory, '/xcatpost', rules);
  const starter = pathFromText('/xcatpost/xcatdsklspost');
  const boot = scripts.find((edit) => edit.op === 'put' && edit.path === starter);
  return [
    { op: 'delete', path: pathFromText('/xcatpost'), required: false, from },
    ...scripts,
    ...(boot?.op !== 'put'
      ? []
      : [{ ...boot, path: pathFromText('/opt/xcat/xcatdsklspost'), mode: S_IFREG | 0o755 }]),
  ];
}

/** The link to a time zone, and what an exlist must not leave out for it. Throws OsimageError BAD_SETTING. */
function zoneOf(
  entries: readonly GatheredEntry[],
  name: string,
): { readonly edits: Edit[]; readonly keep: readonly string[] } {
  const valid = /^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(name);
  const place = pathFromText(`/usr/share/zoneinfo/${valid ? name : ''}`);
  const file = openGathered(entries).tree.seek(place);
  if (file === undefined || !isRegular(file.header.mode)) {
    throw new OsimageError(
      'BAD_SETTING',
      `time zone ${JSON.stringify(name.slice(0, 80))}: no file of that name below /usr/share/zoneinfo of the image; name one that is there, or install tzdata in it`,
    );
  }
  const target = `../usr/share/zoneinfo/${name}`;
  const localtime: Edit = {
    op: 'put',
    path: pathFromText('/etc/localtime'),
    mode: S_IFLNK | 0o777,
    uid: 0,
    gid: 0,
    content: contentOf(Buffer.from(target, 'latin1')),
    target,
    from: 'timezone',
  };
  return { edits: [localtime], keep: [place, file.path].map((path) => `./${path}`) };
}

async function shadowEdits(entries: readonly GatheredEntry[], hash: string): Promise<Edit[]> {
  const standing = await readImageText(entries, '/etc/shadow');
  const { mode, uid, gid } = standing?.entry.header ?? { mode: S_IFREG | 0o600, uid: 0, gid: 0 };
  const content = contentOf(Buffer.from(withRootHash(standing?.text ?? '', hash), 'latin1'));
  const at = standing?.entry.path ?? pathFromText('/etc/shadow');
  return [{ op: 'put', path: at, mode, uid, gid, content, from: 'root password' }];
}

async function exlistOf(
  files: readonly string[],
  keep: readonly string[],
  { stateless, note }: RootContext,
): Promise<Exlist> {
  const exclude: string[] = stateless ? [...ALWAYS_OUT] : [];
  const include: string[] = [...keep];
  for (const file of files) {
    const read = await readExlist(path.resolve(file), {
      read: textOf,
      onIdle: ({ file: name, line, why }) => note(`${name}:${line}: ${why}`),
    });
    exclude.push(...read.exclude);
    include.push(...read.include);
  }
  return { exclude, include };
}

/**
 * /opt/xcat/xcatinfo, which xCAT's boot script reads and adds to. Its UUID and time are the image's own: the same files
 * packed again are the same image.
 */
function xcatinfoEdits(
  entries: readonly GatheredEntry[],
  osimage: string,
  mtime: number,
  rootHash: string | undefined,
): Edit[] {
  const hash = createHash('sha256').update(JSON.stringify([osimage, rootHash ?? '']));
  for (const { path: at, header, target } of entries) {
    const { mode, uid, gid, mtime: time, size } = header;
    hash.update(JSON.stringify([at, mode, uid, gid, time, size, target]));
  }
  const text = [
    `IMAGENAME='${osimage}'`,
    `IMAGEUUID='${uuidOf(hash.digest())}'`,
    `TIMESTAMP='${dateOf(mtime)}'`,
  ];
  return [
    {
      op: 'put',
      path: pathFromText('/opt/xcat/xcatinfo'),
      mode: S_IFREG | 0o644,
      uid: 0,
      gid: 0,
      content: contentOf(Buffer.from(text.map((line) => `${line}\n`).join(''))),
      from: 'xcatinfo',
    },
  ];
}

/** A UUID made of a digest (RFC 9562 §5.8, version 8). */
function uuidOf(digest: Buffer): string {
  const bytes = Buffer.from(digest.subarray(0, 16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** As date(1) writes it in the C locale, in UTC. */
function dateOf(seconds: number): string {
  const [day = '', date = '', month = '', year = '', time = ''] = new Date(seconds * 1000)
    .toUTCString()
    .replace(',', '')
    .split(' ');
  return `${day} ${month} ${date.replace(/^0/, ' ')} ${time} UTC ${year}`;
}
