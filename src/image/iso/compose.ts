import { coalesce, type ExtentMap, type Part } from '../../store/extents.js';
import type { BlobWriter } from '../../store/types.js';
import { ImageError } from '../errors.js';

/** Runs of zeros shorter than this stay inside the data around them, bytes. */
const ZERO_RUN = 2048;
/** Literals up to this size stand in the map itself; larger ones become blobs, bytes. */
const INLINE = 4096;
const MAX_BLOB = 1024 * 1024;

/** `bytes` at `offset` of what is being composed. */
export interface Placed {
  readonly path: string;
  readonly offset: number;
  readonly map: ExtentMap;
}

/** One extent map of `size` bytes with `placed` where they belong and zeros between. Throws when two overlap. */
export function composeMap(size: number, placed: readonly Placed[]): ExtentMap {
  const parts: Part[] = [];
  let end = 0;
  for (const { path, offset, map } of placed.toSorted((a, b) => a.offset - b.offset)) {
    if (map.size === 0) continue;
    if (offset < end || offset + map.size > size) {
      throw new ImageError(
        'TOOL_FAILED',
        `xorriso put ${path} at byte ${offset}, where something else lies. Report this with the xorriso version.`,
      );
    }
    parts.push({ kind: 'zero', length: offset - end });
    for (const part of map.parts) parts.push(part);
    end = offset + map.size;
  }
  parts.push({ kind: 'zero', length: size - end });
  return coalesce(parts);
}

/** The extent map of new `bytes`: zeros by their length, the rest inline when short, else as blobs. */
export async function storeBytes(bytes: Buffer, writer: BlobWriter): Promise<ExtentMap> {
  const parts: Part[] = [];
  for (const run of splitZeros(bytes)) {
    if (run.zero) {
      parts.push({ kind: 'zero', length: run.end - run.start });
    } else if (run.end - run.start <= INLINE) {
      parts.push({ kind: 'inline', bytes: Buffer.from(bytes.subarray(run.start, run.end)) });
    } else {
      for (let at = run.start; at < run.end; at += MAX_BLOB) {
        const piece = bytes.subarray(at, Math.min(at + MAX_BLOB, run.end));
        parts.push({ kind: 'blob', blob: await writer.put(piece), offset: 0, length: piece.length });
      }
    }
  }
  return coalesce(parts);
}

interface Run {
  readonly zero: boolean;
  readonly start: number;
  readonly end: number;
}

const ZEROS = Buffer.alloc(ZERO_RUN);

/** `bytes` as alternating runs of data and of aligned all-zero stretches. */
function* splitZeros(bytes: Buffer): Generator<Run> {
  let start = 0;
  let zero = false;
  for (let at = 0; at < bytes.length; at += ZERO_RUN) {
    const end = Math.min(at + ZERO_RUN, bytes.length);
    const isZero = bytes.subarray(at, end).equals(ZEROS.subarray(0, end - at));
    if (isZero === zero) continue;
    if (at > start) yield { zero, start, end: at };
    start = at;
    zero = isZero;
  }
  if (bytes.length > start) yield { zero, start, end: bytes.length };
}
