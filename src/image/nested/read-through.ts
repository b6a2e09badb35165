import { streamDecoder } from '../bzip2/programs.js';
import { leadingZeros } from '../archive-feed.js';
import { ChunkReader } from '../chunks.js';
import { MAGIC_LENGTH, sniff } from '../codec.js';
import { CpioConverter } from '../cpio/converter.js';
import { oldFormatOf } from '../cpio/old-header.js';
import { CpioScanner, type ScannedEntry } from '../cpio/scanner.js';
import { ImageError } from '../errors.js';
import { inflateMember, takeHeader } from '../gzip/member.js';
import { beginsTar, BLOCK } from '../tar/header.js';
import { TarScanner } from '../tar/scanner.js';
import { Growth, type UnpackLimits } from '../unpack-limits.js';
import { readerOf } from '../whole/codecs.js';
import { filterThrough } from '../whole/filtering.js';
import { streamBytes } from '../whole/framing.js';
import { isWholeFormat } from '../whole/read.js';

/** Hears of an entry of the archive number `archive`; offsets count in the bytes that reading it through gives. */
export type OnEntry = (entry: ScannedEntry, archive: number) => void;

/**
 * The plain bytes of a file of cpio and tar archives, however compressed, one after another: the same each time. Old
 * cpio formats come as newc. Throws ImageError BAD_MAGIC for what is no archive, TOO_LARGE, and what damage leads to.
 */
export async function* readThrough(
  source: AsyncIterable<Buffer>,
  limits: UnpackLimits,
  onEntry: OnEntry,
): AsyncGenerator<Buffer> {
  const reader = new ChunkReader(source);
  const growth = new Growth(reader, limits);
  const walk = new Walk((entry, archive) => {
    growth.addEntry();
    onEntry(entry, archive);
  });
  try {
    while ((await reader.peek(1)).length > 0) {
      const plain = decompress(reader, sniff(await reader.peek(MAGIC_LENGTH)));
      const from = plain === undefined ? reader : new ChunkReader(plain);
      const before = reader.position;
      try {
        for await (const chunk of walk.archives(from)) {
          growth.add(chunk.length);
          yield chunk;
        }
        if (plain === undefined ? reader.position === before : (await from.peek(1)).length > 0)
          throw noArchive(await from.peek(MAGIC_LENGTH), from.position);
      } finally {
        if (from !== reader) await from.close();
      }
    }
    if (walk.count === 0) throw noArchive(Buffer.alloc(0), 0);
  } finally {
    await reader.close();
  }
}

/** What the compressed streams of `format` at `reader` give; undefined when it is no compression that is read. */
function decompress(reader: ChunkReader, format: string | undefined): AsyncGenerator<Buffer> | undefined {
  if (format === 'gzip') return gunzip(reader);
  if (format === 'bzip2') return bunzip2(reader);
  return isWholeFormat(format) ? unpackWhole(reader, format) : undefined;
}

async function* gunzip(reader: ChunkReader): AsyncGenerator<Buffer> {
  do {
    await takeHeader(reader);
    yield* inflateMember(reader);
  } while (sniff(await reader.peek(MAGIC_LENGTH)) === 'gzip');
}

async function* bunzip2(reader: ChunkReader): AsyncGenerator<Buffer> {
  const rest = async function* (): AsyncGenerator<Buffer> {
    for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) yield chunk;
  };
  yield* filterThrough(await streamDecoder(), rest());
}

async function* unpackWhole(
  reader: ChunkReader,
  format: Parameters<typeof streamBytes>[0],
): AsyncGenerator<Buffer> {
  do yield* filterThrough(readerOf(format), streamBytes(format, reader));
  while (sniff(await reader.peek(MAGIC_LENGTH)) === format);
}

class Walk {
  readonly #onEntry: OnEntry;
  #position = 0; // of what was handed on
  #count = 0;

  constructor(onEntry: OnEntry) {
    this.#onEntry = onEntry;
  }

  /** Archives begun. */
  get count(): number {
    return this.#count;
  }

  /** Hands on archives and the zeros around them, up to what is neither. */
  async *archives(reader: ChunkReader): AsyncGenerator<Buffer> {
    for (let start = await reader.peek(BLOCK); start.length > 0; start = await reader.peek(BLOCK)) {
      const zeros = leadingZeros(start);
      if (zeros > 0 && this.#count + reader.position > 0) {
        yield this.#hand(await reader.take(zeros));
        continue;
      }
      const onEntry = (entry: ScannedEntry): void => this.#onEntry(entry, archive);
      const archive = this.#count;
      const old = oldFormatOf(start);
      if (beginsTar(start))
        yield* this.#archive(reader, new TarScanner(this.#position, { onEntry, onTrailer: () => undefined }));
      else if (old !== undefined)
        yield* this.#converted(reader, new CpioConverter(old, this.#position), onEntry);
      else if (sniff(start) === 'cpio') yield* this.#archive(reader, this.#newc(onEntry));
      else return;
    }
  }

  #newc(onEntry: (entry: ScannedEntry) => void): CpioScanner {
    return new CpioScanner(this.#position, { onEntry, onTrailer: () => undefined });
  }

  #hand(bytes: Buffer): Buffer {
    this.#position += bytes.length;
    return bytes;
  }

  async *#archive(reader: ChunkReader, scanner: CpioScanner | TarScanner): AsyncGenerator<Buffer> {
    this.#count++;
    while (!scanner.finished) {
      const chunk = await reader.next();
      if (chunk === undefined) return scanner.finish();
      const taken = scanner.push(chunk);
      reader.giveBack(chunk.subarray(taken));
      yield this.#hand(chunk.subarray(0, taken));
    }
  }

  async *#converted(
    reader: ChunkReader,
    converter: CpioConverter,
    onEntry: (entry: ScannedEntry) => void,
  ): AsyncGenerator<Buffer> {
    this.#count++;
    const scanner = this.#newc(onEntry);
    while (!converter.finished) {
      const chunk = await reader.next();
      if (chunk === undefined) return converter.finish();
      const { taken, newc } = converter.push(chunk);
      reader.giveBack(chunk.subarray(taken));
      for (const bytes of newc) {
        scanner.push(bytes);
        yield this.#hand(bytes);
      }
    }
  }
}

function noArchive(start: Buffer, offset: number): ImageError {
  return new ImageError(
    'BAD_MAGIC',
    `nothing to look into: ${JSON.stringify(start.toString('latin1'))} at offset ${offset} begins no cpio or tar archive, plain or compressed, no squashfs and no ISO image`,
  );
}
