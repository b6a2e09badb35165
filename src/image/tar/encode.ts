import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type CpioHeader,
} from '../cpio/header.js';
import { canonicalPath, pathToText } from '../cpio/path.js';
import { ImageError } from '../errors.js';
import {
  BLOCK,
  decodeTarHeader,
  encodeTarHeader,
  MAX_LINK,
  ownerNames,
  paddingOf,
  splitName,
  type TarFields,
  type TarHeader,
} from './header.js';
import type { ExtendedAttributes } from '../edit.js';
import { isAttribute, isCapability, withAttributes, withPermissions } from './attributes.js';
import { decodePax, encodePax, type PaxRecords } from './pax.js';

/** An entry to write, but for its data. */
export interface TarWritten {
  readonly header: Omit<CpioHeader, 'nameSize'>;
  readonly rawName: string;
  readonly target?: string; // of a symbolic link, latin-1
  readonly link?: string; // of a hard link: the name of the file it is another name of
  readonly added?: ExtendedAttributes; // beside those of its origin, or in their place
}

/** The header of the file whose data or extended attributes an entry keeps. */
export interface TarOrigin {
  readonly head: Buffer; // the bytes of it
  readonly sameData: boolean; // false where the entry's data is new
}

/** What rewriting an entry's header keeps of it, beyond what TarWritten tells. */
interface Kept {
  readonly records: PaxRecords; // extended attributes and times
  readonly uname: string;
  readonly gname: string;
}

const TYPES: Readonly<Record<number, string>> = {
  [S_IFREG]: '0',
  [S_IFLNK]: '2',
  [S_IFCHR]: '3',
  [S_IFBLK]: '4',
  [S_IFDIR]: '5',
  [S_IFIFO]: '6',
};

/** Records whose facts the header block tells when it is written anew. */
const OWN_RECORDS = new Set(['path', 'linkpath', 'size', 'uid', 'gid', 'uname', 'gname']);

/**
 * The header of an entry, with what extends it: long names the way GNU tar writes them, which busybox reads too, or in
 * an extended header when there is one anyway. The extended attributes of `origin` stay, but for capabilities where the
 * data is new; its ACLs follow the permissions. Throws ImageError EDIT_CONFLICT for what tar cannot hold.
 */
export function encodeTarHead(
  { header, rawName, target, link, added }: TarWritten,
  origin: TarOrigin | undefined,
): Buffer {
  const type = link === undefined ? TYPES[header.mode & S_IFMT] : '1';
  if (type === undefined) {
    throw new ImageError(
      'EDIT_CONFLICT',
      `${pathToText(canonicalPath(rawName))}: a socket, which a tar archive cannot hold; leave it out`,
    );
  }
  const kept = origin === undefined || link !== undefined ? NOTHING : keptOf(origin, header);
  const linkName = link ?? target ?? '';
  const records = new Map(
    added === undefined || link !== undefined
      ? kept.records
      : withAttributes(kept.records, added, header.mode),
  );
  const before: Buffer[] = [];
  const fields: TarFields = {
    ...{ name: rawName, mode: header.mode & 0o7777, uid: header.uid, gid: header.gid, mtime: header.mtime },
    ...{ size: link === undefined ? header.size : 0, type, linkName },
    ...{ devMajor: header.rdevMajor, devMinor: header.rdevMinor, uname: kept.uname, gname: kept.gname },
  };
  if (linkName.length > MAX_LINK) {
    if (records.size > 0) records.set('linkpath', linkName);
    else before.push(extension('K', '././@LongLink', Buffer.from(`${linkName}\0`, 'latin1')));
  }
  if (splitName(rawName) === undefined) {
    if (records.size > 0) records.set('path', rawName);
    else before.push(extension('L', '././@LongLink', Buffer.from(`${rawName}\0`, 'latin1')));
  }
  if (records.size > 0) before.push(extension('x', 'PaxHeader', encodePax(records)));
  return Buffer.concat([...before, encodeTarHeader(fields)]);
}

const NOTHING: Kept = { records: new Map(), uname: '', gname: '' };

/** What the header of `origin` tells that stays true of `header`. */
function keptOf({ head, sameData }: TarOrigin, header: TarWritten['header']): Kept {
  const { records, block, fields } = readHead(head);
  const stays = ([key, value]: readonly [string, string]): boolean => {
    if (!sameData) return isAttribute(key) && !isCapability(key);
    if (key === 'mtime') return Math.floor(Number(value)) === header.mtime;
    return !OWN_RECORDS.has(key) && !key.startsWith('GNU.sparse.');
  };
  const kept = new Map([...records].filter(stays));
  const { uname, gname } = ownerNames(block);
  const number = (key: string, otherwise: number): number =>
    Math.floor(Number(records.get(key) ?? otherwise));
  return {
    records: fields.mode === (header.mode & 0o7777) ? kept : withPermissions(kept, header.mode),
    uname: number('uid', fields.uid) === header.uid ? uname : '',
    gname: number('gid', fields.gid) === header.gid ? gname : '',
  };
}

/** Whether the file that `head` is the header of has capabilities. */
export function holdsCapability(head: Buffer): boolean {
  return [...readHead(head).records.keys()].some(isCapability);
}

/** The extended records in `head`, and its header block. */
function readHead(head: Buffer): {
  readonly records: PaxRecords;
  readonly block: Buffer;
  readonly fields: TarHeader;
} {
  let records: PaxRecords = new Map();
  for (let at = 0; ;) {
    const fields = decodeTarHeader(head, at, at);
    const data = at + BLOCK;
    if (fields.type === 'x') records = decodePax(head.subarray(data, data + fields.size), at);
    else if (fields.type !== 'L' && fields.type !== 'K' && fields.type !== 'g')
      return { records, block: head.subarray(at), fields };
    at = data + fields.size + paddingOf(fields.size);
  }
}

function extension(type: string, name: string, data: Buffer): Buffer {
  const fields = { mode: 0o644, uid: 0, gid: 0, mtime: 0, devMajor: 0, devMinor: 0, uname: '', gname: '' };
  const block = encodeTarHeader({ ...fields, name, type, size: data.length, linkName: '' });
  return Buffer.concat([block, data, Buffer.alloc(paddingOf(data.length))]);
}
