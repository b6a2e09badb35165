import { ImageError } from '../errors.js';
import {
  encodeHeader,
  encodeTrailer,
  MAX_FILE_SIZE,
  newcTime,
  padding4,
  TRAILER_NAME,
  type CpioHeader,
} from './header.js';
import {
  decodeOldHeader,
  OLD_LAYOUTS,
  type OldFormat,
  type OldHeader,
  type OldLayout,
} from './old-header.js';
import { canonicalPath, pathToText } from './path.js';
import { requireUnpackable } from './unpackable.js';

/** What a chunk became: how many of its bytes belong to the archive, and the newc bytes they make. */
export interface Converted {
  readonly taken: number;
  readonly newc: readonly Buffer[];
}

/**
 * Turns one archive of an old format into newc, in a stream of chunks of any size. Entries, their order and the data of
 * every hard link stay as they are; device numbers are split as major·256 + minor. It stops at the trailer.
 */
export class CpioConverter {
  readonly format: OldFormat;
  readonly #layout: OldLayout;
  #position: number;
  #carry: Buffer = Buffer.alloc(0);
  #data = 0; // bytes of data left of the current entry
  #gap = 0; // bytes of padding after it, in the old format
  #after: Buffer = Buffer.alloc(0); // padding after it, in newc
  #name = '';
  #finished = false;
  #lateTimes = 0;

  /** A conversion of an archive whose first byte stands at offset `base`. */
  constructor(format: OldFormat, base: number) {
    this.format = format;
    this.#layout = OLD_LAYOUTS[format];
    this.#position = base;
  }

  /** Whether the trailer has been read. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Entries whose time newc cannot hold: they get its latest, in 2106. */
  get lateTimes(): number {
    return this.#lateTimes;
  }

  /** Throws ImageError BAD_MAGIC, BAD_HEADER, FILE_TOO_LARGE, NAME_TOO_LONG, UNSAFE_PATH. */
  push(chunk: Buffer): Converted {
    const newc: Buffer[] = [];
    let at = 0;
    while (at < chunk.length && !this.#finished) {
      if (this.#data > 0) {
        const take = Math.min(this.#data, chunk.length - at);
        newc.push(chunk.subarray(at, at + take));
        this.#data -= take;
        at += take;
        this.#position += take;
        if (this.#data === 0) newc.push(this.#after);
      } else if (this.#gap > 0) {
        at++;
        this.#gap--;
        this.#position++;
      } else at += this.#head(chunk.subarray(at), newc);
    }
    return { taken: at, newc };
  }

  /** Says that the stream ended. Throws ImageError TRUNCATED. */
  finish(): void {
    if (this.#finished) return;
    const place =
      this.#data > 0
        ? `inside ${pathToText(canonicalPath(this.#name))}, ${this.#data} bytes short`
        : 'before its trailer';
    throw new ImageError(
      'TRUNCATED',
      `the cpio archive ends at offset ${this.#position + this.#carry.length} ${place}; fetch the file again`,
    );
  }

  /** Takes what `bytes` hold of the next header and name; gives back how many bytes that is. */
  #head(bytes: Buffer, newc: Buffer[]): number {
    const held = this.#carry.length;
    const joined = held === 0 ? bytes : Buffer.concat([this.#carry, bytes]);
    const { headerSize, align } = this.#layout;
    if (joined.length >= headerSize) {
      const header = decodeOldHeader(joined, this.format, this.#position);
      const nameEnd = headerSize + header.nameSize;
      const needed = nameEnd + (nameEnd % align);
      if (joined.length >= needed) {
        this.#carry = Buffer.alloc(0);
        this.#begin(header, joined.subarray(headerSize, nameEnd), newc);
        this.#position += needed;
        return needed - held;
      }
    }
    this.#carry = Buffer.from(joined);
    return bytes.length;
  }

  #begin(header: OldHeader, name: Buffer, newc: Buffer[]): void {
    if (name.at(-1) !== 0) {
      throw new ImageError(
        'BAD_HEADER',
        `cpio header at offset ${this.#position}: its name does not end in NUL; the file is damaged, fetch it again`,
      );
    }
    this.#name = name.toString('latin1', 0, name.length - 1);
    if (this.#name === TRAILER_NAME) {
      newc.push(encodeTrailer());
      this.#finished = true;
      return;
    }
    const { mode, size } = header;
    requireUnpackable({ rawName: this.#name, mode, offset: this.#position, target: size });
    if (header.size > MAX_FILE_SIZE) {
      throw new ImageError(
        'FILE_TOO_LARGE',
        `${pathToText(canonicalPath(this.#name))} at offset ${this.#position}: ${header.size} bytes, and newc, which the archive must become, holds at most ${MAX_FILE_SIZE}. Leave the file out of the archive and let the node fetch it`,
      );
    }
    if (newcTime(header.mtime) !== header.mtime) this.#lateTimes++;
    newc.push(encodeHeader(newcHeader(header), this.#name));
    this.#data = header.size;
    this.#gap = header.size % this.#layout.align;
    this.#after = Buffer.alloc(padding4(header.size));
  }
}

/** Device numbers of 16 and 18 bits are split as the systems that wrote them did: the minor number is the low byte. */
function newcHeader({ dev, rdev, mtime, ...same }: OldHeader): Omit<CpioHeader, 'nameSize'> {
  return {
    magic: '070701',
    ...same,
    mtime: newcTime(mtime),
    devMajor: dev >>> 8,
    devMinor: dev & 0xff,
    rdevMajor: rdev >>> 8,
    rdevMinor: rdev & 0xff,
    check: 0,
  };
}
