import { encodeTrailer } from './cpio/header.js';

/** GNU cpio's default block: archives are padded to a multiple of it. */
const BLOCK = 512;

/** A trailer and the zeros after it, as they stood in their frame. */
export interface OldTail {
  readonly bytes: Buffer;
  readonly end: number; // offset past them in the frame's plain bytes
  readonly frameEnd: number; // where the frame ends
}

/** The same trailer at offset `start`, with as many zeros after it as keep the frame's blocks whole, if they were. */
export function tailAt(start: number, { bytes, end, frameEnd }: OldTail): Buffer {
  const trailer = Math.min(bytes.length, encodeTrailer().length);
  let zeros = bytes.length - trailer;
  if (frameEnd % BLOCK === 0) {
    zeros -= zeros % BLOCK;
    zeros += modulo(end - start - trailer - zeros, BLOCK);
  }
  return Buffer.concat([bytes.subarray(0, trailer), Buffer.alloc(zeros)]);
}

/** `value` modulo `by`, never negative. */
const modulo = (value: number, by: number): number => ((value % by) + by) % by;
