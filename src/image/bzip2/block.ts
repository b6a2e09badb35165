import { bitsAt, copyBits, sliceBits, writeBits } from './bits.js';
import { BLOCK_MAGIC, findMagic, hasMagic, STREAM_MAGIC } from './magic.js';

/** A bzip2 block in a buffer, from its magic number to the end of its data. Positions count bits. */
export interface Block {
  readonly start: number;
  readonly end: number;
  readonly crc: number; // of its plain bytes, as its header says
  readonly randomised: boolean; // an obsolete mode, which the kernel and busybox refuse
  readonly selectorCount: number;
  readonly selectorCountAt: number;
  readonly selectorsEnd: number;
}

/** What stands at a bit: a whole block, the beginning of one, or none. */
export type BlockFinding =
  | { readonly kind: 'block'; readonly block: Block }
  | { readonly kind: 'short' } // the buffer ends before the block does
  | { readonly kind: 'damaged'; readonly why: string };

/** The longest block that the format can express: 32767 groups of 50 codes of 20 bits, and what goes before them. */
export const MAX_BLOCK = 4_200_000; // bytes
/** Zero bytes that must follow in the buffer after what is to be looked at. */
export const SLACK = 256;

const SELECTOR_BITS = 15;
/** Far beyond the 18002 that 900,000 symbols can use; what alignBlock adds still fits. */
const MAX_SELECTORS = 32_760;
const MAX_TABLES = 6;
const MAX_SYMBOLS = 258;
const MAX_CODE = 20; // bits
const GROUP = 50; // symbols coded with one table
/** Codes of at most this many bits are found in one look. */
const SHORT_CODE = 11;
const END_OF_BLOCK = 0x100;

/** A Huffman table of a block, made for finding out how long each code is and which one ends the block. */
class CodeTable {
  /** By the next SHORT_CODE bits: the code's length, plus END_OF_BLOCK; 0 when it is longer. */
  readonly short = new Uint16Array(1 << SHORT_CODE);
  /** By length: the first value of MAX_CODE bits that belongs to a longer code. */
  readonly limits = new Int32Array(MAX_CODE + 2);
  endLength = 0;
  endCode = 0;
  readonly #next = new Int32Array(MAX_CODE + 1);

  /** Takes the lengths of the codes of `count` symbols; the last one ends the block. Codes are canonical. */
  build(lengths: Uint8Array, count: number): void {
    const next = this.#next.fill(0);
    for (let symbol = 0; symbol < count; symbol++) {
      const length = lengths[symbol] ?? 0;
      next[length] = (next[length] ?? 0) + 1;
    }
    let code = 0;
    for (let length = 1; length <= MAX_CODE; length++) {
      const after = code + (next[length] ?? 0);
      next[length] = code;
      this.limits[length] = after << (MAX_CODE - length);
      code = after << 1;
    }
    this.limits[MAX_CODE + 1] = 1 << (MAX_CODE + 1);
    this.short.fill(0);
    for (let symbol = 0; symbol < count; symbol++) {
      const length = lengths[symbol] ?? 0;
      const own = next[length] ?? 0;
      next[length] = own + 1;
      const last = symbol === count - 1;
      if (last) {
        this.endLength = length;
        this.endCode = own;
      }
      if (length > SHORT_CODE) continue;
      const from = own << (SHORT_CODE - length);
      this.short.fill(last ? length | END_OF_BLOCK : length, from, from + (1 << (SHORT_CODE - length)));
    }
  }
}

const tables = Array.from({ length: MAX_TABLES }, () => new CodeTable());
const selectors = new Uint8Array(1 << SELECTOR_BITS);
const lengths = new Uint8Array(MAX_SYMBOLS);

const SHORT = { kind: 'short' } as const;
const damaged = (why: string) => ({ kind: 'damaged', why }) as const;

/**
 * The block that begins at bit `start` and ends at bit `limit` at the latest: before the next magic number that has
 * behind it what belongs there, a block's tables or another stream's beginning. Data that only looks like a magic
 * number is no trap: where it decides, and at the end of a stream, the codes are gone through, which takes ten times as
 * long. What they mean is not looked at. SLACK zero bytes must follow after `limit`.
 */
export function findBlock(bytes: Buffer, start: number, limit: number): BlockFinding {
  const head = readHead(bytes, start, limit);
  if (head.kind !== 'head') return head;
  const { crc, randomised, selectorCount, selectorCountAt, selectorsEnd, codesAt } = head;
  let end: number | BlockFinding | undefined = findMagic(bytes, codesAt, limit);
  if (end === undefined || !endsBlock(bytes, end, limit)) {
    readHead(bytes, start, limit); // its tables again
    end = findEnd(bytes, codesAt, limit, selectorCount);
  }
  if (typeof end !== 'number') return end;
  return {
    kind: 'block',
    block: { start, end, crc, randomised, selectorCount, selectorCountAt, selectorsEnd },
  };
}

/** A block's fields, and where its codes begin. Its selectors and code tables are in `selectors` and `tables`. */
type Head = Omit<Block, 'start' | 'end'> & { readonly kind: 'head'; readonly codesAt: number };

function readHead(
  bytes: Buffer,
  start: number,
  limit: number,
): Head | Exclude<BlockFinding, { kind: 'block' }> {
  if (start + 48 > limit) return SHORT;
  if (!hasMagic(bytes, start, BLOCK_MAGIC)) return damaged('no block begins there');
  let at = start + 48;
  const crc = ((bitsAt(bytes, at, 16) << 16) | bitsAt(bytes, at + 16, 16)) >>> 0;
  const randomised = bitsAt(bytes, at + 32, 1) === 1;
  at += 32 + 1 + 24;
  const symbols = countSymbols(bytes, at);
  at = symbols.end;
  const tableCount = bitsAt(bytes, at, 3);
  const selectorCountAt = at + 3;
  const selectorCount = bitsAt(bytes, selectorCountAt, SELECTOR_BITS);
  at = selectorCountAt + SELECTOR_BITS;
  if (at > limit) return SHORT;
  if (symbols.count === 0) return damaged('it uses no byte');
  if (tableCount < 2 || tableCount > MAX_TABLES) return damaged(`it has ${tableCount} code tables`);
  if (selectorCount === 0 || selectorCount > MAX_SELECTORS)
    return damaged(`it has ${selectorCount} selectors`);

  const order = [0, 1, 2, 3, 4, 5];
  for (let n = 0; n < selectorCount; n++) {
    if (at > limit) return SHORT;
    let rank = 0;
    while (bitsAt(bytes, at++, 1) === 1) {
      if (++rank >= tableCount) return damaged('a selector names no table');
    }
    const table = order[rank] ?? 0;
    for (; rank > 0; rank--) order[rank] = order[rank - 1] ?? 0;
    order[0] = table;
    selectors[n] = table;
  }
  const selectorsEnd = at;

  for (const table of tables.slice(0, tableCount)) {
    let length = bitsAt(bytes, at, 5);
    at += 5;
    for (let symbol = 0; symbol < symbols.count + 2; symbol++) {
      for (;;) {
        if (at > limit) return SHORT;
        if (length < 1 || length > MAX_CODE) return damaged(`a code of ${length} bits`);
        if (bitsAt(bytes, at++, 1) === 0) break;
        length += bitsAt(bytes, at++, 1) === 0 ? 1 : -1;
      }
      lengths[symbol] = length;
    }
    table.build(lengths, symbols.count + 2);
  }

  return { kind: 'head', crc, randomised, selectorCount, selectorCountAt, selectorsEnd, codesAt: at };
}

/** Whether what stands at bit `at`, a magic number, has behind it what belongs there. */
function endsBlock(bytes: Buffer, at: number, limit: number): boolean {
  if (hasMagic(bytes, at, BLOCK_MAGIC)) return readHead(bytes, at, limit).kind === 'head';
  const next = (at + 48 + 32 + 7) & ~7; // after the sum of the stream
  return (
    next + 80 <= limit &&
    bytes.subarray(next >>> 3, (next >>> 3) + 3).equals(STREAM_MAGIC) &&
    hasMagic(bytes, next + 32, BLOCK_MAGIC)
  );
}

/** How many bytes values a block's two-level map at bit `at` marks as used, and the bit after the map. */
function countSymbols(bytes: Buffer, at: number): { readonly count: number; readonly end: number } {
  let end = at + 16;
  let count = 0;
  for (let ranges = bitsAt(bytes, at, 16); ranges > 0; ranges &= ranges - 1) {
    for (let range = bitsAt(bytes, end, 16); range > 0; range &= range - 1) count++;
    end += 16;
  }
  return { count, end };
}

/** The bit after the code that ends the block, going through the codes from bit `at`. */
function findEnd(bytes: Buffer, at: number, limit: number, selectorCount: number): number | BlockFinding {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let n = 0; n < selectorCount; n++) {
    if (at > limit) return SHORT;
    const table = tables[selectors[n] ?? 0];
    if (table === undefined) break;
    const { short, limits, endLength, endCode } = table;
    for (let symbol = 0; symbol < GROUP; symbol++) {
      const word = view.getUint32(at >>> 3) << (at & 7);
      const found = short[word >>> (32 - SHORT_CODE)] ?? 0;
      if (found !== 0) {
        at += found & 0xff;
        if (found < END_OF_BLOCK) continue;
      } else {
        const value = word >>> (32 - MAX_CODE);
        let length = SHORT_CODE + 1;
        while (value >= (limits[length] ?? 0)) length++;
        if (length > MAX_CODE) return at > limit ? SHORT : damaged('a code that its table does not have');
        at += length;
        if (length !== endLength || value >>> (MAX_CODE - length) !== endCode) continue;
      }
      return at > limit ? SHORT : at;
    }
  }
  return at > limit ? SHORT : damaged('its data does not end');
}

/**
 * The bits of a block, made to begin and to end on a byte: its list of selectors is extended by up to 7 of one bit each,
 * which nothing uses. Decoders let superfluous ones be: lbzip2 aligns what it writes in the same way.
 */
export function alignBlock(bytes: Buffer, block: Block): Buffer {
  const { start, end, selectorCount, selectorCountAt, selectorsEnd } = block;
  const missing = -(end - start) & 7;
  if (missing === 0) return sliceBits(bytes, start, end);
  const split = selectorsEnd - start + missing; // where the code tables are to begin
  const aligned = Buffer.allocUnsafe((end - start + missing) >>> 3).fill(0, 0, split >>> 3);
  copyBits(bytes, selectorsEnd, end, aligned, split);
  const head = sliceBits(bytes, start, selectorsEnd);
  for (let at = 0; at < head.length; at++) aligned[at] = (aligned[at] ?? 0) | (head[at] ?? 0);
  writeBits(aligned, selectorCountAt - start, SELECTOR_BITS, selectorCount + missing);
  return aligned;
}
