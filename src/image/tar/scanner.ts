import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../cpio/header.js';
import { canonicalPath, pathToText } from '../cpio/path.js';
import type { ScannedEntry } from '../cpio/scanner.js';
import { requireUnpackable } from '../cpio/unpackable.js';
import { ImageError } from '../errors.js';
import { printable } from '../printable.js';
import { BLOCK, decodeTarHeader, paddingOf, type TarHeader } from './header.js';
import { listPax, type PaxRecord } from './pax.js';
import { SparseMap, type SparseRun } from './sparse.js';

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
  S: S_IFREG, // GNU tar's old sparse file
};

/** What extends the header that comes next. */
interface Extension {
  records: readonly PaxRecord[]; // of an extended header
  name: string | undefined; // GNU's type L
  linkName: string | undefined; // GNU's type K
  bytes: number;
  start: number | undefined; // where it begins
}

/** An entry's header, and what the extensions before it say. */
interface NamedHeader {
  readonly header: TarHeader;
  readonly pax: ReadonlyMap<string, string>;
  readonly rawName: string;
  readonly target: string; // of a link
  readonly offset: number; // where the first of its extensions begins
  readonly where: string; // names it
}

type SparseEntry = NamedHeader & { readonly map: SparseMap };

const noExtension = (): Extension => ({
  records: [],
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
  #current = ''; // raw name of the entry whose data is passed over
  #sparse: SparseEntry | undefined; // whose map is being read
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
   * ImageError BAD_HEADER, UNKNOWN_CODEC, TOO_LARGE, UNSAFE_PATH, NAME_TOO_LONG.
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
      this.#skip > 0
        ? `inside ${pathToText(canonicalPath(this.#current))}, ${this.#skip} bytes short`
        : 'before the zeros that end it';
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
    if (this.#sparse !== undefined) {
      this.#sparse.map.push(bytes);
      this.#endMap(this.#sparse);
      return;
    }
    if (bytes.every((byte) => byte === 0)) {
      this.#finished = true;
      this.#events.onTrailer({ offset });
      return;
    }
    const header = decodeTarHeader(bytes, 0, offset);
    if (/^[xgLK]$/.test(header.type)) this.#gather(header, offset);
    else this.#begin(header, bytes, offset);
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
      const key = listPax(data, offset).find(([one]) => one !== 'comment')?.[0];
      if (key === undefined) return;
      throw new ImageError(
        'UNKNOWN_CODEC',
        `the tar archive says at offset ${offset} what ${printable(key.slice(0, 100))} all entries have, which rackboot does not read; write it again without --pax-option`,
      );
    } else this.#extension.records = listPax(data, offset);
  }

  #begin(header: TarHeader, block: Buffer, at: number): void {
    const { records, name, linkName, start } = this.#extension;
    const pax = new Map(records);
    const offset = start ?? at;
    const shown = pax.get('GNU.sparse.name') ?? pax.get('path') ?? name ?? header.name;
    const where = `${pathToText(canonicalPath(shown))} at offset ${offset}`;
    const map = SparseMap.of(block, header.type, records, where);
    const rawName = map?.name ?? pax.get('path') ?? name ?? header.name;
    const target = pax.get('linkpath') ?? linkName ?? header.linkName;
    const named: NamedHeader = { header, pax, rawName, target, offset, where };
    if (map === undefined) this.#entry(named);
    else this.#endMap({ ...named, map });
  }

  /** Goes on with a sparse file once its map is complete; until then blocks of the map follow. */
  #endMap(entry: SparseEntry): void {
    const { map, pax, header, where } = entry;
    this.#extension.start ??= entry.offset; // nothing is settled behind it
    this.#sparse = map.done ? undefined : entry;
    if (!map.done) return;
    const stored = numberIn(pax, 'size', header.size, where) - map.mapped;
    this.#entry(entry, { size: map.size, runs: map.runs(stored) }, stored);
  }

  /** An entry's header is complete, and its map if it is a sparse file, of which `stored` bytes follow. */
  #entry(
    { header, pax, rawName, target, offset, where }: NamedHeader,
    sparse?: { readonly size: number; readonly runs: readonly SparseRun[] },
    stored = header.type === '1' ? 0 : numberIn(pax, 'size', header.size, where),
  ): void {
    this.#extension = noExtension();
    const type = header.type === '0' && rawName.endsWith('/') ? S_IFDIR : TYPES[header.type];
    if (type === undefined) {
      throw new ImageError(
        'UNKNOWN_CODEC',
        `${where}: an entry of type ${JSON.stringify(header.type)}, which rackboot does not read; write the archive again with: tar --format=pax`,
      );
    }
    if (stored < 0 || (stored > 0 && type !== S_IFREG)) {
      throw new ImageError(
        'BAD_HEADER',
        `${where}: ${stored} bytes of data where none can be; the file is damaged, fetch it again`,
      );
    }
    if (rawName.includes('\0')) {
      throw new ImageError('BAD_HEADER', `${where}: its name holds a NUL; fetch the file again`);
    }
    requireUnpackable({ rawName, mode: type, offset, target: target.length });
    const link = header.type === '1' ? target : undefined;
    this.#skip = stored + paddingOf(stored);
    this.#current = rawName;
    this.#checkLink(link, rawName, offset);
    this.#events.onEntry({
      header: {
        magic: '070701',
        ino: ++this.#number,
        mode: type | header.mode,
        uid: numberIn(pax, 'uid', header.uid, where),
        gid: numberIn(pax, 'gid', header.gid, where),
        nlink: type === S_IFDIR ? 2 : 1,
        mtime: numberIn(pax, 'mtime', header.mtime, where),
        size: sparse?.size ?? stored,
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
      tar: {
        head: this.#position - offset,
        ...(link === undefined ? {} : { link }),
        ...(sparse === undefined ? {} : { sparse: sparse.runs }),
      },
    });
  }

  #checkLink(link: string | undefined, rawName: string, offset: number): void {
    const path = canonicalPath(rawName);
    if (link === undefined || this.#paths.has(canonicalPath(link))) {
      this.#paths.add(path);
      return;
    }
    throw new ImageError(
      'BAD_HEADER',
      `${pathToText(path)} at offset ${offset} is a hard link to ${pathToText(canonicalPath(link))}, which does not stand before it; write the archive again`,
    );
  }
}

/** The number that the extended record `key` gives, or else the header. */
function numberIn(
  pax: ReadonlyMap<string, string>,
  key: 'size' | 'uid' | 'gid' | 'mtime',
  otherwise: number,
  where: string,
): number {
  const text = pax.get(key);
  if (text === undefined) return otherwise;
  const value = Math.floor(Number(text));
  if (text !== '' && Number.isSafeInteger(value)) return value;
  throw new ImageError('BAD_HEADER', `${where}: its ${key} is not a number; fetch the file again`);
}
