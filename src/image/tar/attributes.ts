import type { ExtendedAttributes } from '../edit.js';
import type { PaxRecords } from './pax.js';

/** Whether a keyword of an extended header tells an extended attribute, an ACL or file flags. */
export const isAttribute = (key: string): boolean =>
  /^(SCHILY\.(xattr|acl|fflags)|LIBARCHIVE\.xattr|RHT\.security)(\.|$)/.test(key);

/** Whether a keyword tells file capabilities, which the kernel drops once a file is written to (capabilities(7)). */
export const isCapability = (key: string): boolean => /\.xattr\.security\.capability$/.test(key);

/** What star and libarchive call attributes that have names of their own. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  'system.posix_acl_access': ['SCHILY.acl.access'],
  'system.posix_acl_default': ['SCHILY.acl.default'],
};

/** `records` of a file with the permissions `mode`, with the attributes `added` in place of those of the same name. */
export function withAttributes(records: PaxRecords, added: ExtendedAttributes, mode: number): PaxRecords {
  const all = new Map(records);
  for (const [name, value] of Object.entries(added)) {
    const others = [`LIBARCHIVE.xattr.${name}`, ...(OTHER_NAMES[name] ?? [])];
    for (const key of others) all.delete(key);
    // A keyword ends at its first equals sign; GNU tar writes one in a name as URLs do (xattr_encode_keyword).
    all.set(`SCHILY.xattr.${name.replaceAll('%', '%25').replaceAll('=', '%3D')}`, value);
  }
  return withPermissions(all, mode);
}

/**
 * `records` with the ACLs of a file that gets the permissions `mode`: as chmod(2) does, owner, mask (or the group where
 * there is no mask) and others follow (Linux, fs/posix_acl.c: __posix_acl_chmod_masq).
 */
export function withPermissions(records: PaxRecords, mode: number): PaxRecords {
  return new Map(
    [...records].map(([key, value]) => {
      if (key === 'SCHILY.acl.access') return [key, aclText(value, mode)];
      return key === 'SCHILY.xattr.system.posix_acl_access' ? [key, aclBytes(value, mode)] : [key, value];
    }),
  );
}

const letters = (bits: number): string =>
  `${(bits & 4) === 0 ? '-' : 'r'}${(bits & 2) === 0 ? '-' : 'w'}${(bits & 1) === 0 ? '-' : 'x'}`;

/** An ACL as acl(5) writes it; star adds a number to entries that name somebody. */
function aclText(text: string, mode: number): string {
  const group = /(^|[,\n])\s*m(ask)?:/.test(text) ? 'm(?:ask)?' : 'g(?:roup)?';
  const tags: readonly (readonly [string, number])[] = [
    ['u(?:ser)?', mode >> 6],
    [group, mode >> 3],
    ['o(?:ther)?', mode],
  ];
  return tags.reduce(
    (now, [tag, bits]) =>
      now.replace(
        new RegExp(`(^|[,\\n])(\\s*${tag}:{1,2})[rwx-]{3}(?=$|[,\\n\\s#])`),
        `$1$2${letters(bits)}`,
      ),
    text,
  );
}

/** Tags of an ACL's entries (Linux, uapi/linux/posix_acl.h). */
const ACL_USER_OBJ = 0x01;
const ACL_GROUP_OBJ = 0x04;
const ACL_MASK = 0x10;
const ACL_OTHER = 0x20;
const ACL_HEAD = 4;
const ACL_ENTRY = 8;

/** An ACL as the kernel keeps it (uapi/linux/posix_acl_xattr.h), latin-1. */
function aclBytes(value: string, mode: number): string {
  const bytes = Buffer.from(value, 'latin1');
  const tags = new Map<number, number>(); // of each tag, where its entry is
  for (let at = ACL_HEAD; at + ACL_ENTRY <= bytes.length; at += ACL_ENTRY)
    tags.set(bytes.readUInt16LE(at), at);
  const set = (tag: number, bits: number): void => {
    const at = tags.get(tag);
    if (at !== undefined) bytes.writeUInt16LE(bits & 7, at + 2);
  };
  set(ACL_USER_OBJ, mode >> 6);
  set(tags.has(ACL_MASK) ? ACL_MASK : ACL_GROUP_OBJ, mode >> 3);
  set(ACL_OTHER, mode);
  return bytes.toString('latin1');
}
