import type { Frame } from './archive.js';
import type { PlacedEntry } from './archive-index.js';
import { encodeHeader, newcTime, padding4, TRAILER_NAME } from './cpio/header.js';
import { canonicalPath, pathToText } from './cpio/path.js';
import type { PlannedEntry } from './entry-draft.js';
import { ImageError } from './errors.js';
import { encodeTarHead, type TarOrigin } from './tar/encode.js';
import { paddingOf } from './tar/header.js';
import type { Segmenter } from './segmenter.js';

/** What of an entry is written before its data. */
export type WrittenEntry = Pick<PlannedEntry, 'rawName' | 'header' | 'target' | 'link' | 'added'> & {
  /** In a tar archive: the file whose data or extended attributes it keeps. */
  readonly origin?: TarOrigin;
};

/** Writes entries one after another into a segmenter. */
export class EntryWriter {
  readonly #out: Segmenter;
  readonly #tar: boolean;

  /** Entries are written as an archive of `format` has them. */
  constructor(out: Segmenter, format?: Frame['format']) {
    this.#out = out;
    this.#tar = format === 'tar';
  }

  /** An entry with a new header and `data`, which must give as many bytes as the header says. */
  async entry(planned: WrittenEntry, data: AsyncIterable<Buffer>): Promise<void> {
    const { size } = planned.header;
    await this.head(planned);
    let written = 0;
    for await (const chunk of data) {
      written += chunk.length;
      await this.#out.push(chunk);
    }
    if (written !== size) {
      throw new ImageError(
        'TRUNCATED',
        `${pathToText(canonicalPath(planned.rawName))}: ${written} bytes were read where ${size} were announced; the file changed while it was read, try again`,
      );
    }
    await this.#out.push(Buffer.alloc(this.#padding(size)));
  }

  /** An entry's header and name; its data is to follow. Throws ImageError UNSAFE_PATH for the name that ends an archive. */
  async head(entry: WrittenEntry): Promise<void> {
    const { rawName, target, link } = entry;
    if (!this.#tar && rawName === TRAILER_NAME) {
      throw new ImageError(
        'UNSAFE_PATH',
        `/${TRAILER_NAME}: this name ends a cpio archive, and what came after it would be lost; give the file another name`,
      );
    }
    const mtime = this.#tar ? entry.header.mtime : newcTime(entry.header.mtime);
    const header = { ...entry.header, mtime };
    const head = this.#tar ? encodeTarHead(entry, entry.origin) : encodeHeader(header, rawName);
    const tar = { head: head.length, ...(link === undefined ? {} : { link }) };
    const offset = this.#out.position;
    const dataOffset = offset + head.length;
    this.#out.entry({
      header: { ...header, nameSize: rawName.length + 1 },
      rawName,
      offset,
      dataOffset,
      end: dataOffset + header.size + this.#padding(header.size),
      ...(this.#tar ? { tar } : {}),
      ...(target === undefined ? {} : { target }),
    });
    await this.#out.push(head);
  }

  #padding(size: number): number {
    return this.#tar ? paddingOf(size) : padding4(size);
  }

  /** An entry exactly as it stood. */
  async copy(entry: PlacedEntry, bytes: AsyncIterable<Buffer>): Promise<void> {
    const offset = this.#out.position;
    const by = offset - entry.offset;
    this.#out.entry({ ...entry, offset, dataOffset: entry.dataOffset + by, end: entry.end + by });
    await this.bytes(bytes);
  }

  /** Bytes that belong to no entry that begins here. */
  async bytes(bytes: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of bytes) await this.#out.push(chunk);
  }

  /** Ends the segment. */
  flush(): Promise<void> {
    return this.#out.flush('entries');
  }
}
