import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../cpio/header.js';
import { canonicalPath, pathToText } from '../cpio/path.js';
import type { ScannedEntry } from '../cpio/scanner.js';
import { ImageError } from '../errors.js';
import { BLOCK, decodeTarHeader, paddingOf, type TarHeader } from './header.js';
import { decodePax, type PaxRecords } from './pax.js';

/** What a scan reports while it goes. */
export interface TarEvents {
  /** An entry's header was read, with what stands before it and extends it; its data lies ahead. */
  onEntry(entry: ScannedEntry): void;
  /** The first block of the zeros that end the archive was read; it stands at `offset`. */
  onTrailer(trailer: { readonly offset: number }): void;
}

/** The most that extended headers of one entry may come to, bytes: names and extended attributes. */
const MAX_EXTENSION = 1024 * 1024;

const TYPES: Readonly<Record<string, number>> = {
  '0': S_IFREG,
  '1': S_IFREG,
  '2': S_IFLNK,
  '3': S_IFCHR,
  '4': S_IFBLK,
  '5': S_IFDIR,
  '6': S_IFIFO,
  '7': S_IFREG,
};

/** What extends the header that comes next. */
interface Extension {
  pax: PaxRecords;
  name: string | undefined; // GNU's type L
  linkName: string | undefined; // GNU's type K
  bytes: number;
  start: number | undefined; // where it begins
}

const noExtension = (): Extension => ({
  pax: new Map(),
  name: undefined,
  linkName: undefined,
  bytes: 0,
  start: undefined,
});

/**
 * Finds the entries of one tar archive (ustar, pax, GNU, v7) in a stream of chunks of any size, without keeping the
 * data. It stops after the first block of zeros, which ends an archive.
 */
export class TarScanner {
  #position: number;
  #carry: Buffer = Buffer.alloc(0);
  #skip = 0; // bytes of data and padding left of the current entry
  #gathered: { readonly type: string; readonly offset: number; readonly size: number } | undefined;
  #extension = noExtension();
  #finished = false;
  #number = 0;
  #current = '';
  readonly #paths = new Set<string>(); // of files, which hard links may name
  readonly #events: TarEvents;

  /** A scan of an archive whose first byte stands at offset `base`. */
  constructor(base: number, events: TarEvents) {
    this.#position = base;
    this.#events = events;
  }

  /** Whether the end of the archive has been read. */
  get finished(): boolean {
    return this.#finished;
  }

  /** The offset before which nothing is left to be read of any entry's header. */
  get settled(): number {
    return this.#extension.start ?? this.#position;
  }

  /**
   * Reads `chunk` and gives back how many of its bytes belong to the archive: all of them, until it ends. Throws
   * ImageError BAD_HEADER, UNKNOWN_CODEC, TOO_LARGE.
   */
  push(chunk: Buffer): number {
    for (let at = 0; at < chunk.length;) {
      if (this.#finished) return at;
      if (this.#skip > 0) {
        const take = Math.min(this.#skip, chunk.length - at);
        this.#skip -= take;
        this.#position += take;
        at += take;
        continue;
      }
      const wanted =
        this.#gathered === undefined ? BLOCK : this.#gathered.size + paddingOf(this.#gathered.size);
      const take = Math.min(wanted - this.#carry.length, chunk.length - at);
      this.#carry = Buffer.concat([this.#carry, chunk.subarray(at, at + take)]);
      at += take;
      if (this.#carry.length === wanted) this.#block();
    }
    return chunk.length;
  }

  /** Says that the stream ended. Throws ImageError TRUNCATED. */
  finish(): void {
    if (this.#finished) return;
    const place =
      this.#skip > 0 ? `inside ${this.#current}, ${this.#skip} bytes short` : 'before the zeros that end it';
    throw new ImageError(
      'TRUNCATED',
      `the tar archive ends at offset ${this.#position + this.#carry.length} ${place}; fetch the file again`,
    );
  }

  /** A header block is complete, or the data of an extended header. */
  #block(): void {
    const bytes = this.#carry;
    const offset = this.#position;
    this.#carry = Buffer.alloc(0);
    this.#position += bytes.length;
    if (this.#gathered !== undefined) {
      const { type, offset: start, size } = this.#gathered;
      this.#gathered = undefined;
      this.#extend(type, bytes.subarray(0, size), start);
      return;
    }
    if (bytes.every((byte) => byte === 0)) {
      this.#finished = true;
      this.#events.onTrailer({ offset });
      return;
    }
    const header = decodeTarHeader(bytes, 0, offset);
    if (/^[xgLK]$/.test(header.type)) this.#gather(header, offset);
    else this.#entry(header, offset);
  }

  #gather({ type, size }: TarHeader, offset: number): void {
    this.#extension.bytes += size;
    if (size < 0 || this.#extension.bytes > MAX_EXTENSION) {
      throw new ImageError(
        'TOO_LARGE',
        `an extended tar header of ${this.#extension.bytes} bytes at offset ${offset}, where ${MAX_EXTENSION} are read; the file is damaged or hostile`,
      );
    }
    if (type !== 'g') this.#extension.start ??= offset;
    if (size === 0) this.#extend(type, Buffer.alloc(0), offset);
    else this.#gathered = { type, offset, size };
  }

  #extend(type: string, data: Buffer, offset: number): void {
    const text = (): string => data.toString('latin1').replace(/\0.*$/s, '');
    if (type === 'L') this.#extension.name = text();
    else if (type === 'K') this.#extension.linkName = text();
    else if (type === 'g') {
      this.#extension.bytes = 0;
      const key = [...decodePax(data, offset).keys()].find((one) => one !== 'comment');
      if (key === undefined) return;
      throw new ImageError(
        'UNKNOWN_CODEC',
        `the tar archive says at offset ${offset} what ${key} all entries have, which rackboot does not read; write it again without --pax-option`,
      );
    } else this.#extension.pax = decodePax(data, offset);
  }

  #entry(header: TarHeader, at: number): void {
    const { pax, name, linkName, start } = this.#extension;
    this.#extension = noExtension();
    const offset = start ?? at;
    const rawName = pax.get('path') ?? name ?? header.name;
    const where = pathToText(canonicalPath(rawName));
    const number = (key: string, otherwise: number): number => {
      const text = pax.get(key);
      if (text === undefined) return otherwise;
      const value = Math.floor(Number(text));
      if (text !== '' && Number.isSafeInteger(value)) return value;
      throw new ImageError(
        'BAD_HEADER',
        `${where} at offset ${offset}: its ${key} is not a number; fetch the file again`,
      );
    };
    const type = header.type === '0' && rawName.endsWith('/') ? S_IFDIR : TYPES[header.type];
    if (type === undefined || [...pax.keys()].some((key) => key.startsWith('GNU.sparse.'))) {
      throw new ImageError(
        'UNKNOWN_CODEC',
        `${where} at offset ${offset}: ${type === undefined ? `an entry of type ${JSON.stringify(header.type)}` : 'a sparse file'}, which rackboot does not read; write the archive again with: tar --format=pax, without --sparse`,
      );
    }
    const size = header.type === '1' ? 0 : number('size', header.size);
    if (size < 0 || (size > 0 && type !== S_IFREG)) {
      throw new ImageError(
        'BAD_HEADER',
        `${where} at offset ${offset}: ${size} bytes of data where none can be; the file is damaged, fetch it again`,
      );
    }
    if (rawName.includes('\0')) {
      throw new ImageError(
        'BAD_HEADER',
        `${where} at offset ${offset}: its name holds a NUL; fetch the file again`,
      );
    }
    const target = pax.get('linkpath') ?? linkName ?? header.linkName;
    this.#skip = size + paddingOf(size);
    this.#current = where;
    this.#checkLink(header.type === '1' ? target : undefined, rawName, offset);
    this.#events.onEntry({
      header: {
        magic: '070701',
        ino: ++this.#number,
        mode: type | header.mode,
        uid: number('uid', header.uid),
        gid: number('gid', header.gid),
        nlink: type === S_IFDIR ? 2 : 1,
        mtime: number('mtime', header.mtime),
        size,
        devMajor: 0,
        devMinor: 0,
        rdevMajor: header.devMajor,
        rdevMinor: header.devMinor,
        nameSize: rawName.length + 1,
        check: 0,
      },
      rawName,
      offset,
      dataOffset: this.#position,
      end: this.#position + this.#skip,
      ...(type === S_IFLNK ? { target } : {}),
      tar: { head: this.#position - offset, ...(header.type === '1' ? { link: target } : {}) },
    });
  }

  #checkLink(link: string | undefined, rawName: string, offset: number): void {
    const path = canonicalPath(rawName);
    this.#paths.add(path);
    if (link === undefined || this.#paths.has(canonicalPath(link))) return;
    throw new ImageError(
      'BAD_HEADER',
      `${pathToText(path)} at offset ${offset} is a hard link to ${pathToText(canonicalPath(link))}, which does not stand before it; write the archive again`,
    );
  }
}
