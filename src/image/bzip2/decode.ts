import { randomBytes } from 'node:crypto';
import type { PackedSegment } from '../codec.js';
import { ImageError } from '../errors.js';
import { startFilter, writeTo, type Filter } from '../filter.js';
import { combineBlocks } from './crc.js';
import { MarkerCutter } from './markers.js';
import { streamDecoder } from './programs.js';
import { compressSegment, decompressBlocks } from './segment.js';
import { encodeEnd, encodeHeader, type AlignedBlock, type StreamPart } from './stream.js';

/** A stream's beginning, or a block of it with its plain bytes, in pieces. */
export type DecodedPart =
  | Extract<StreamPart, { kind: 'stream' }>
  | { readonly kind: 'block'; readonly block: AlignedBlock; readonly plain: readonly Buffer[] };

const MARKER_LENGTH = 32; // bytes
/** More than a block can hold: 900,000 bytes in runs of 255 that take 5 each. */
const MAX_PLAIN = 46_000_000;

/**
 * `parts` with the plain bytes of each block, whose CRCs have been checked. One program decompresses all of them, on as
 * many processors as it can use; a block of random bytes after each block tells where the block's plain bytes end.
 * Throws ImageError BAD_CHECKSUM naming the block's offset, MISSING_TOOL, TOOL_FAILED, and what `parts` throws.
 */
export async function* decodeBlocks(parts: AsyncIterable<StreamPart>): AsyncGenerator<DecodedPart> {
  const nonce = randomBytes(MARKER_LENGTH);
  const marker = await compressSegment(nonce, 1);
  const filter = startFilter(await streamDecoder());
  const waiting: StreamPart[] = [];
  const feeding = feed(parts, filter, marker, waiting);
  try {
    const cutter = new MarkerCutter(nonce);
    for await (const chunk of filter.output as AsyncIterable<Buffer>) {
      for (const plain of cutter.push(chunk)) {
        yield* takeWhile(waiting, 'stream');
        const block = waiting.shift();
        if (block?.kind !== 'block') throw unexplained();
        yield { kind: 'block', block, plain };
      }
    }
    const failure = await feeding;
    if (failure !== undefined) throw failure.error;
    await filter.succeeded().catch(async (error: unknown) => {
      await findDamage(waiting);
      throw error;
    });
    yield* takeWhile(waiting, 'stream');
    if (waiting.length > 0 || cutter.pending) throw unexplained();
  } finally {
    await filter.stop();
    await feeding;
  }
}

const unexplained = (): ImageError =>
  new ImageError(
    'TOOL_FAILED',
    'the program that decompresses bzip2 gives other blocks than it was given; reinstall lbzip2',
  );

/** Takes the parts that begin streams off the front of `parts`. */
function* takeWhile(parts: StreamPart[], kind: 'stream'): Generator<Extract<StreamPart, { kind: 'stream' }>> {
  for (let part = parts[0]; part?.kind === kind; part = parts[0]) {
    parts.shift();
    yield part;
  }
}

/**
 * Writes `parts` to a decoder, and after each block `marker`; puts them into `waiting` before. Ends with what went
 * wrong, if not with the decoder.
 */
async function feed(
  parts: AsyncIterable<StreamPart>,
  decoder: Filter,
  marker: PackedSegment,
  waiting: StreamPart[],
): Promise<{ readonly error: unknown } | undefined> {
  let sum: number | undefined;
  try {
    for await (const part of parts) {
      waiting.push(part);
      let pieces: readonly Buffer[];
      if (part.kind === 'stream') {
        pieces = [...(sum === undefined ? [] : [encodeEnd(sum)]), encodeHeader(part.level)];
        sum = 0;
      } else {
        pieces = [part.bytes, marker.stored];
        sum = combineBlocks([part.crc, ...(marker.blocks ?? [])], sum);
      }
      if (!(await writeTo(decoder, ...pieces))) return undefined;
    }
    decoder.input.end(encodeEnd(sum ?? 0));
    return undefined;
  } catch (error) {
    decoder.input.end();
    return { error };
  }
}

/** Throws ImageError BAD_CHECKSUM for the first damaged block of `parts`, if there is one. */
async function findDamage(parts: readonly StreamPart[]): Promise<void> {
  for (const part of parts) {
    if (part.kind === 'stream') continue;
    await decompressBlocks(part.bytes, [part.crc], MAX_PLAIN).catch((error: unknown) => {
      if (error instanceof ImageError && error.code === 'MISSING_TOOL') throw error;
      throw new ImageError(
        'BAD_CHECKSUM',
        `the bzip2 block at offset ${part.offset} is damaged; fetch the file again`,
        { cause: error },
      );
    });
  }
}
