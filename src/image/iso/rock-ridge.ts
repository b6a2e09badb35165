import { ImageError } from '../errors.js';
import { decodeLongDate, decodeShortDate } from './dates.js';

/** What the Rock Ridge fields of one directory record say (RRIP 1.12 §4.1); absent fields are absent. */
export interface RockRidge {
  readonly name?: Buffer;
  readonly posix?: {
    readonly mode: number;
    readonly links: number;
    readonly uid: number;
    readonly gid: number;
  };
  readonly device?: { readonly major: number; readonly minor: number };
  readonly target?: Buffer; // of a symbolic link; absent when its components contradict each other
  readonly mtime?: number; // seconds since the epoch
  readonly childBlock?: number; // CL: the directory was moved there
  readonly relocated: boolean; // RE: this directory belongs somewhere else
  readonly compressed: boolean; // ZF: stored as zisofs
}

/** Fetches a continuation area: `length` bytes at byte `offset` of logical block `block`. */
export type ReadContinuation = (block: number, offset: number, length: number) => Promise<Buffer>;

interface Field {
  readonly signature: string;
  readonly body: Buffer; // after the 4 bytes of signature, length and version
}

const MAX_CONTINUATIONS = 64;
const MAX_AREA = 64 * 1024; // bytes; writers stay within one 2048-byte block
const MAX_NAME = 64 * 1024; // a chain of NM or SL fields beyond this is no name

/** The number of bytes SUSP skips in every system use area, or null when the volume does not use SUSP (SUSP §5.3). */
export function decodeSharingProtocol(systemUse: Buffer): number | null {
  for (const start of [0, 14]) {
    const marked =
      systemUse.toString('latin1', start, start + 2) === 'SP' &&
      systemUse.length >= start + 7 &&
      systemUse.readUInt16BE(start + 4) === 0xbeef;
    if (marked) return systemUse.readUInt8(start + 6);
  }
  return null;
}

/** Every Rock Ridge field of a system use area and of the continuation areas it points to. */
export async function decodeRockRidge(systemUse: Buffer, read: ReadContinuation): Promise<RockRidge> {
  const names: Buffer[] = [];
  const link = new LinkTarget();
  const found: { -readonly [K in keyof RockRidge]: RockRidge[K] } = { relocated: false, compressed: false };
  let nameBytes = 0;
  let area: Buffer | undefined = systemUse;
  for (let hops = 0; area !== undefined; hops++) {
    if (hops > MAX_CONTINUATIONS) {
      throw damaged(`a chain of more than ${MAX_CONTINUATIONS} continuation areas`);
    }
    let next: Buffer | undefined;
    for (const { signature, body } of fields(area)) {
      if (signature === 'CE' && body.length >= 24) {
        const length = body.readUInt32LE(16);
        if (length > MAX_AREA) throw damaged(`a continuation area of ${length} bytes`);
        next = await read(body.readUInt32LE(0), body.readUInt32LE(8), length);
      } else if (signature === 'NM' && body.length >= 1 && (body.readUInt8(0) & 0x06) === 0) {
        nameBytes += body.length;
        if (nameBytes > MAX_NAME) throw damaged('a name of more than 64 KiB');
        names.push(body.subarray(1));
      } else if (signature === 'PX' && body.length >= 32) {
        found.posix = {
          mode: body.readUInt32LE(0),
          links: body.readUInt32LE(8),
          uid: body.readUInt32LE(16),
          gid: body.readUInt32LE(24),
        };
      } else if (signature === 'PN' && body.length >= 16) {
        found.device = decodeDevice(body.readUInt32LE(0), body.readUInt32LE(8));
      } else if (signature === 'SL' && body.length >= 1) {
        if (!link.append(body.subarray(1))) return withName(found, names);
      } else if (signature === 'TF') {
        const mtime = decodeModified(body);
        if (mtime !== null) found.mtime = mtime;
      } else if (signature === 'CL' && body.length >= 8) {
        found.childBlock = body.readUInt32LE(0);
      } else if (signature === 'RE') {
        found.relocated = true;
      } else if (signature === 'ZF') {
        found.compressed = true;
      }
    }
    area = next;
  }
  const target = link.finish();
  return withName(target === undefined ? found : { ...found, target }, names);
}

function withName(found: RockRidge, names: readonly Buffer[]): RockRidge {
  return names.length === 0 ? found : { ...found, name: Buffer.concat(names) };
}

function* fields(area: Buffer): Generator<Field> {
  for (let at = 0; at + 4 <= area.length;) {
    const length = area.readUInt8(at + 2);
    const signature = area.toString('latin1', at, at + 2);
    if (signature === 'ST') return;
    if (length < 4 || at + length > area.length) {
      if (length === 0) return; // padding
      throw damaged(`a field ${JSON.stringify(signature)} of ${length} bytes`);
    }
    yield { signature, body: area.subarray(at + 4, at + length) };
    at += length;
  }
}

/** RRIP §4.1.2: either a high and a low half, or the whole dev_t in the low one. */
function decodeDevice(high: number, low: number): { major: number; minor: number } {
  if (high !== 0) return { major: high, minor: low };
  return { major: (low >>> 8) & 0xfff, minor: (low & 0xff) | ((low >>> 12) & 0xfff00) };
}

/** RRIP §4.1.6: the modification time of a TF field; null when it has none. */
function decodeModified(body: Buffer): number | null {
  const flags = body.length > 0 ? body.readUInt8(0) : 0;
  if ((flags & 0x02) === 0) return null;
  const size = (flags & 0x80) === 0 ? 7 : 17;
  const start = 1 + ((flags & 0x01) === 0 ? 0 : size);
  const stamp = body.subarray(start, start + size);
  if (stamp.length < size) return null;
  if (size === 7) return decodeShortDate(stamp);
  const text = decodeLongDate(stamp);
  const milliseconds = text === null ? NaN : Date.parse(text);
  return Number.isNaN(milliseconds) ? null : Math.floor(milliseconds / 1000);
}

/** The target of a symbolic link, put together from the component records of SL fields (RRIP §4.1.3). */
class LinkTarget {
  readonly #components: Buffer[] = [];
  #open = false; // the last component continues in the next record
  #absolute = false;
  #seen = false;
  #bytes = 0;

  /** False when the components contradict their field: genisoimage writes such where it splits a long target. */
  append(records: Buffer): boolean {
    this.#seen = true;
    for (let at = 0; at + 2 <= records.length;) {
      const flags = records.readUInt8(at);
      const length = records.readUInt8(at + 1);
      if (at + 2 + length > records.length) return false;
      this.#add(flags, records.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    return true;
  }

  finish(): Buffer | undefined {
    if (!this.#seen) return undefined;
    const path = this.#components.reduce(
      (joined, component, index) =>
        index === 0 ? component : Buffer.concat([joined, Buffer.from('/'), component]),
      Buffer.alloc(0),
    );
    return this.#absolute ? Buffer.concat([Buffer.from('/'), path]) : path;
  }

  #add(flags: number, content: Buffer): void {
    this.#bytes += content.length + 3;
    if (this.#bytes > MAX_NAME) throw damaged('a symbolic link of more than 64 KiB');
    if ((flags & 0x08) !== 0) {
      this.#absolute = true;
      this.#components.length = 0;
      return;
    }
    const component =
      (flags & 0x02) !== 0 ? Buffer.from('.') : (flags & 0x04) !== 0 ? Buffer.from('..') : content;
    const last = this.#components.pop();
    if (last === undefined) this.#components.push(component);
    else if (this.#open) this.#components.push(Buffer.concat([last, component]));
    else this.#components.push(last, component);
    this.#open = (flags & 0x01) !== 0;
  }
}

function damaged(what: string): ImageError {
  return new ImageError(
    'BAD_ISO',
    `A Rock Ridge entry holds ${what}. The image is damaged or hostile; copy it again.`,
  );
}
