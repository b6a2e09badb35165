import { RepoError } from '../../repo/errors.js';

/** A package's header, as `rpmdb --exportdb` writes it: rpm's manual, "Package format", the header structure. */
export interface RpmHeader {
  readonly name: string;
  readonly nevra: string; // name-[epoch:]version-release.arch
  readonly buildTime: number; // seconds; 0 where it states none
  readonly bytes: Buffer;
}

const MAGIC = Buffer.from([0x8e, 0xad, 0xe8, 0x01]);
const LEAD = 16; // magic, reserved, number of entries, size of the data
const ENTRY = 16; // tag, type, offset, count

/** rpmtag.h */
const TAGS = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  buildTime: 1006,
  installTime: 1008,
  arch: 1022,
  installTransaction: 1128,
} as const;

/** The headers that stand one after another in `exported`. Throws RepoError BAD_METADATA for what is none. */
export function parseHeaders(exported: Buffer): RpmHeader[] {
  const headers: RpmHeader[] = [];
  for (let at = 0; at < exported.length;) {
    if (exported.length - at < LEAD || !exported.subarray(at, at + 4).equals(MAGIC)) throw damaged(at);
    const end = at + LEAD + exported.readUInt32BE(at + 8) * ENTRY + exported.readUInt32BE(at + 12);
    if (end > exported.length) throw damaged(at);
    headers.push(describe(exported.subarray(at, end), at));
    at = end;
  }
  return headers;
}

/**
 * The headers as a database has them that does not say when they were installed: both the time and the transaction, which is
 * named by its time, are `time`; in order of their packages' names.
 */
export function datedHeaders(headers: readonly RpmHeader[], time: number): Buffer {
  const inOrder = [...headers].sort((a, b) => (a.nevra < b.nevra ? -1 : a.nevra > b.nevra ? 1 : 0));
  return Buffer.concat(
    inOrder.map(({ bytes }) => {
      const dated = Buffer.from(bytes);
      for (const tag of [TAGS.installTime, TAGS.installTransaction]) {
        const place = placeOf(dated, tag);
        if (place !== undefined && place + 4 <= dated.length) dated.writeUInt32BE(time >>> 0, place);
      }
      return dated;
    }),
  );
}

function describe(bytes: Buffer, at: number): RpmHeader {
  const text = (tag: number): string => {
    const place = placeOf(bytes, tag);
    if (place === undefined) return '';
    const end = bytes.indexOf(0, place);
    if (end < 0) throw damaged(at);
    return bytes.toString('utf8', place, end);
  };
  const number = (tag: number): number | undefined => {
    const place = placeOf(bytes, tag);
    return place === undefined || place + 4 > bytes.length ? undefined : bytes.readUInt32BE(place);
  };
  const epoch = number(TAGS.epoch);
  const name = text(TAGS.name);
  const version = `${epoch === undefined ? '' : `${epoch}:`}${text(TAGS.version)}-${text(TAGS.release)}`;
  const arch = text(TAGS.arch);
  return {
    name,
    nevra: `${name}-${version}${arch === '' ? '' : `.${arch}`}`,
    buildTime: number(TAGS.buildTime) ?? 0,
    bytes,
  };
}

/** Where the data of a tag lies in a header; undefined when it has none. */
function placeOf(header: Buffer, tag: number): number | undefined {
  const count = header.readUInt32BE(8);
  for (let entry = LEAD; entry < LEAD + count * ENTRY; entry += ENTRY) {
    if (entry + ENTRY > header.length) return undefined;
    if (header.readUInt32BE(entry) !== tag) continue;
    const place = LEAD + count * ENTRY + header.readUInt32BE(entry + 8);
    return place < header.length ? place : undefined;
  }
  return undefined;
}

const damaged = (at: number): RepoError =>
  new RepoError(
    'BAD_METADATA',
    `rpmdb --exportdb gave no header at offset ${at}; see that rpm of this machine works: rpm --version`,
  );
