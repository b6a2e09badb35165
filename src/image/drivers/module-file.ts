import { createGunzip } from 'node:zlib';
import { Readable } from 'node:stream';
import { ImageError } from '../errors.js';
import { filterThrough } from '../whole/filtering.js';
import { readerOf } from '../whole/codecs.js';

/** The name of a file that holds a kernel module: the module's own, `.ko` included, and how it is compressed. */
export interface ModuleName {
  readonly plain: string; // foo.ko
  readonly compression: '' | 'gz' | 'xz' | 'zst';
}

/** What a file's name says of the module in it; undefined for other files. */
export function moduleName(file: string): ModuleName | undefined {
  const match = /^([^/]+\.ko)(?:\.(gz|xz|zst))?$/.exec(file.slice(file.lastIndexOf('/') + 1));
  if (match?.[1] === undefined) return undefined;
  return { plain: match[1], compression: (match[2] ?? '') as ModuleName['compression'] };
}

/** Two files of these names hold the same module: the kernel takes `-` for `_` (modprobe(8)). */
export const moduleKey = (plain: string): string => plain.replaceAll('-', '_');

/** No module is larger, unpacked. */
const MAX_MODULE = 512 * 1024 * 1024;

/**
 * The plain bytes of a module from those of its file. `file` is for messages. Throws ImageError TOO_LARGE,
 * BAD_CHECKSUM, MISSING_TOOL, TOOL_FAILED.
 */
export async function readModule(
  compression: ModuleName['compression'],
  source: AsyncIterable<Buffer>,
  file: string,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of decompress(compression, source, file)) {
    size += chunk.length;
    if (size > MAX_MODULE) {
      throw new ImageError(
        'TOO_LARGE',
        `${file}: more than ${MAX_MODULE} bytes; no kernel module is so large`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function* decompress(
  compression: ModuleName['compression'],
  source: AsyncIterable<Buffer>,
  file: string,
): AsyncGenerator<Buffer> {
  if (compression === 'gz') {
    try {
      yield* Readable.from(source).pipe(createGunzip()) as AsyncIterable<Buffer>;
    } catch (error) {
      throw new ImageError('BAD_CHECKSUM', `${file} does not decompress; copy it again`, { cause: error });
    }
  } else if (compression === '') yield* source;
  else yield* filterThrough(readerOf(compression === 'xz' ? 'xz' : 'zstd'), source);
}
