import type { OldTail } from '../tail.js';
import { BLOCK } from './header.js';

/** Archives are padded to a multiple of this: 20 blocks, a tape's record (GNU tar manual, "The Blocking Factor of an Archive"). */
const RECORD = 20 * BLOCK;

/** The zeros that end an archive at offset `start`: as many as keep its records whole, if they were. */
export function tarTailAt(start: number, { bytes, end, frameEnd }: OldTail): Buffer {
  if (frameEnd % RECORD !== 0) return Buffer.alloc(Math.max(2 * BLOCK, bytes.length));
  const behind = (RECORD - ((frameEnd - end) % RECORD)) % RECORD; // where in a record it must end
  const least = start + 2 * BLOCK;
  return Buffer.alloc(2 * BLOCK + ((behind - (least % RECORD) + RECORD) % RECORD));
}
