import { createHash } from 'node:crypto';
import { bitsAt, sliceBits, writeBits } from '../../../src/image/bzip2/bits.js';
import { findBlock, SLACK, type Block } from '../../../src/image/bzip2/block.js';
import { output } from '../programs.js';

/** `length` bytes that do not compress, different for each seed. */
export function noise(length: number, seed: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += 64) parts.push(createHash('sha512').update(`${seed} ${at}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

/** `length` bytes that compress as text does. */
export function prose(length: number, seed: number): Buffer {
  const draws = noise(Math.ceil(length / 3) + 1, seed);
  const words = ['block ', 'stream', ' of', '\n', 'segment', ' archive ', 'x', '0000000', ' the', 'ing '];
  return Buffer.from(Array.from(draws, (draw) => words[draw % words.length]!).join('')).subarray(0, length);
}

/** What bzip2 makes of `plain`. */
export const bzip2 = (plain: Buffer, level = 9): Promise<Buffer> =>
  output('bzip2', [`-${level}`, '-c'], plain);

/** The blocks of a file that is one stream, and the file with the slack that they were found with. */
export function blocksIn(file: Buffer): { readonly bytes: Buffer; readonly blocks: readonly Block[] } {
  const bytes = Buffer.concat([file, Buffer.alloc(SLACK)]);
  const blocks: Block[] = [];
  for (let at = 32; ;) {
    const found = findBlock(bytes, at, file.length * 8);
    if (found.kind !== 'block') return { bytes, blocks };
    blocks.push(found.block);
    at = found.block.end;
  }
}

/** The first block of a one-block file with `extra` as further selectors, in a stream of its own. */
export function withSelectors(file: Buffer, extra: string): Buffer {
  const { bytes, blocks } = blocksIn(file);
  const [block] = blocks;
  if (block === undefined) throw new Error('no block');
  const added = extra.split('').filter((bit) => bit === '0').length;
  const head = bitString(bytes, 0, block.selectorsEnd) + extra;
  const rest = sliceBits(bytes, block.selectorsEnd, file.length * 8, head.length & 7);
  const changed = Buffer.concat([Buffer.alloc(head.length >>> 3), rest]);
  fromBits(head).forEach((byte, at) => (changed[at] = byte | (changed[at] ?? 0)));
  writeBits(changed, block.selectorCountAt, 15, block.selectorCount + added);
  return changed;
}

/** Bits [from, to) of `bytes` as a text of 0 and 1. */
export function bitString(bytes: Buffer, from: number, to: number): string {
  let bits = '';
  for (let at = from; at < to; at++) bits += bitsAt(bytes, at, 1);
  return bits;
}

/** A text of 0 and 1 as bytes; the last is filled up with zeros. */
export function fromBits(bits: string): Buffer {
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0');
  return Buffer.from(padded.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

/** `file` with the first block marked as randomised, which changes nothing for blocks of less than 617 bytes. */
export function randomised(file: Buffer): Buffer {
  const changed = Buffer.from(file);
  writeBits(changed, 32 + 48 + 32, 1, 1);
  return changed;
}
