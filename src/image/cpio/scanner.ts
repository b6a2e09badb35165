import { ImageError } from '../errors.js';
import { addToSum } from './checksum.js';
import {
  checkMagic,
  CPIO_MAGIC_SIZE,
  decodeHeader,
  HEADER_SIZE,
  isRegular,
  isSymlink,
  padding4,
  TRAILER_NAME,
  type CpioHeader,
} from './header.js';
import type { TarFacts } from '../tar/header.js';
import { canonicalPath, pathToText } from './path.js';
import { requireUnpackable } from './unpackable.js';

/** An entry as it stands in an archive, with its offsets in the plain bytes around it. */
export interface ScannedEntry {
  readonly header: CpioHeader;
  readonly rawName: string; // latin-1, as written in the archive
  readonly offset: number; // of the header
  readonly dataOffset: number;
  readonly end: number; // past the padding of the data
  readonly tar?: TarFacts; // in a tar archive
  /** Of a symbolic link, latin-1: known once the link's data has been scanned. */
  target?: string;
}

/** What a scan reports while it goes. */
export interface ScanEvents {
  /** An entry's header and name were read; its data lies ahead. */
  onEntry(entry: ScannedEntry): void;
  /** The trailer was read; the archive proper ends at `end`. */
  onTrailer(trailer: ScannedEntry): void;
}

type State = 'header' | 'data' | 'trailer-padding';

/**
 * Finds the entries of one newc archive in a stream of chunks of any size, without keeping the data. It stops at the
 * trailer; what follows is given back by `push` unread.
 */
export class CpioScanner {
  #state: State = 'header';
  #position: number; // offset of the next byte to read
  #carry: Buffer = Buffer.alloc(0); // a header or name that began in an earlier chunk
  #skip = 0; // bytes of data and padding left of the current entry
  #current: ScannedEntry | undefined;
  #target: Buffer[] | undefined; // the data of a symbolic link, as it comes
  #sum: { value: number; left: number } | undefined; // of the data of a file in a 070702 archive, and bytes to come
  readonly #events: ScanEvents;

  /** A scan of an archive whose first byte stands at offset `base`. */
  constructor(base: number, events: ScanEvents) {
    this.#position = base;
    this.#events = events;
  }

  /** Whether the trailer has been read. */
  get finished(): boolean {
    return this.#state === 'trailer-padding';
  }

  /** The offset before which nothing is left to be read of any entry's header, or of a symbolic link. */
  get settled(): number {
    return this.#target === undefined ? this.#position : (this.#current?.offset ?? this.#position);
  }

  /**
   * Reads `chunk` and gives back how many of its bytes belong to the archive: all of them, until the trailer ends
   * inside it. Throws ImageError BAD_MAGIC, BAD_HEADER, BAD_CHECKSUM, UNSAFE_PATH, NAME_TOO_LONG.
   */
  push(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'trailer-padding') return at;
      if (this.#state === 'data') {
        const take = Math.min(this.#skip, chunk.length - at);
        const bytes = chunk.subarray(at, at + take);
        this.#target?.push(bytes);
        this.#addToSum(bytes);
        at += take;
        this.#position += take;
        this.#skip -= take;
        if (this.#skip > 0) return at;
        this.#endData();
        continue;
      }
      at = this.#readHeader(chunk, at);
    }
    return at;
  }

  /** Says that the stream ended. Throws ImageError TRUNCATED, naming the entry that is cut short. */
  finish(): void {
    if (this.#state === 'trailer-padding') return;
    const place =
      this.#state === 'data' && this.#current !== undefined
        ? `inside ${pathToText(canonicalPath(this.#current.rawName))}, ${this.#skip} bytes short`
        : 'before its trailer';
    throw new ImageError(
      'TRUNCATED',
      `the cpio archive ends at offset ${this.#position + this.#carry.length} ${place}; fetch the file again`,
    );
  }

  #addToSum(bytes: Buffer): void {
    if (this.#sum === undefined) return;
    const data = bytes.subarray(0, this.#sum.left);
    this.#sum.value = addToSum(this.#sum.value, data);
    this.#sum.left -= data.length;
  }

  #endData(): void {
    this.#state = 'header';
    if (this.#sum !== undefined && this.#current !== undefined) checkSum(this.#current, this.#sum.value);
    this.#sum = undefined;
    if (this.#target === undefined || this.#current === undefined) return;
    const data = Buffer.concat(this.#target).toString('latin1', 0, this.#current.header.size);
    this.#current.target = data.replace(/\0.*$/s, ''); // as symlink(2) takes it
    this.#target = undefined;
  }

  #readHeader(chunk: Buffer, from: number): number {
    const joined = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk.subarray(from)]);
    const start = this.#carry.length === 0 ? from : 0;
    const consumedBefore = this.#carry.length;
    const available = joined.length - start;
    if (available >= HEADER_SIZE) {
      const header = decodeHeader(joined, start, this.#position);
      const needed = HEADER_SIZE + header.nameSize + padding4(HEADER_SIZE + header.nameSize);
      if (available >= needed) {
        this.#carry = Buffer.alloc(0);
        this.#begin(header, joined, start, needed);
        return from + needed - consumedBefore;
      }
    } else if (available >= CPIO_MAGIC_SIZE) checkMagic(joined, start, this.#position);
    this.#carry = Buffer.from(joined.subarray(start));
    return chunk.length;
  }

  #begin(header: CpioHeader, bytes: Buffer, start: number, headLength: number): void {
    const nameEnd = start + HEADER_SIZE + header.nameSize - 1;
    if (bytes[nameEnd] !== 0) {
      throw new ImageError(
        'BAD_HEADER',
        `cpio header at offset ${this.#position}: its name does not end in NUL; the file is damaged, fetch it again`,
      );
    }
    const rawName = bytes.toString('latin1', start + HEADER_SIZE, nameEnd);
    const dataOffset = this.#position + headLength;
    const end = dataOffset + header.size + padding4(header.size);
    const entry: ScannedEntry = { header, rawName, offset: this.#position, dataOffset, end };
    this.#position = dataOffset;
    if (rawName === TRAILER_NAME) {
      this.#state = 'trailer-padding';
      this.#events.onTrailer({ ...entry, end: dataOffset });
      return;
    }
    if (rawName.includes('\0')) {
      throw new ImageError(
        'BAD_HEADER',
        `cpio header at offset ${entry.offset}: its name holds a NUL; the file is damaged, fetch it again`,
      );
    }
    requireUnpackable({ rawName, mode: header.mode, offset: entry.offset, target: header.size });
    this.#current = entry;
    this.#skip = end - dataOffset;
    this.#state = this.#skip > 0 ? 'data' : 'header';
    this.#sum =
      header.magic === '070702' && isRegular(header.mode) && header.size > 0
        ? { value: 0, left: header.size }
        : undefined;
    this.#target = isSymlink(header.mode) && this.#skip > 0 ? [] : undefined;
    this.#events.onEntry(entry);
  }
}

function checkSum({ header, rawName, offset }: ScannedEntry, sum: number): void {
  if (sum === header.check) return;
  throw new ImageError(
    'BAD_CHECKSUM',
    `${pathToText(canonicalPath(rawName))} at offset ${offset}: its bytes add up to ${sum}, its header says ${header.check} (070702); the file is damaged, fetch it again`,
  );
}
