import { ImageError } from '../errors.js';
import { printable } from '../printable.js';
import { BLOCK, decodeNumber } from './header.js';
import type { PaxRecord } from './pax.js';

/** Bytes of a sparse file that are stored; what lies between such runs is zeros. */
export type SparseRun = readonly [offset: number, length: number];

/** Where GNU tar's old header and the blocks after it hold runs (tar 1.34, tar.h: oldgnu_header, sparse_header). */
const OLD_HEAD = { at: 386, runs: 4, more: 482, size: 483 } as const;
const OLD_NEXT = { at: 0, runs: 21, more: 504 } as const;
const NUMBER = 12; // bytes of each of a run's two numbers

/** The most that the map of one file may come to, bytes. */
const MAX_MAP = 1024 * 1024;

/**
 * Reads where the stored bytes of a sparse file lie in it: GNU tar's old format, and its formats 0.0, 0.1 and 1.0 for
 * pax (GNU tar manual, "Storing Sparse Files"). Until `done`, the blocks that follow the header belong to the map.
 */
export class SparseMap {
  readonly size: number; // bytes of the file
  readonly name: string | undefined; // where the header holds another than the file's, latin-1
  /** Bytes of blocks read that the header counts as data. */
  mapped = 0;
  readonly #kind: 'old' | 'records' | '1.0';
  readonly #where: string;
  readonly #runs: SparseRun[] = [];
  #more: boolean; // whether blocks of the map follow
  #text = ''; // of 1.0: what no number was read from
  readonly #numbers: number[] = [];
  #read = 0; // bytes of blocks

  private constructor(
    kind: 'old' | 'records' | '1.0',
    where: string,
    size: number,
    name: string | undefined,
    more: boolean,
  ) {
    this.#kind = kind;
    this.#where = where;
    this.size = size;
    this.name = name;
    this.#more = more;
  }

  /**
   * The map of the file whose header is `block`, of the type `type` and with `records` before it; undefined for a file
   * that is not sparse. `where` names it. Throws ImageError BAD_HEADER, UNKNOWN_CODEC.
   */
  static of(
    block: Buffer,
    type: string,
    records: readonly PaxRecord[],
    where: string,
  ): SparseMap | undefined {
    if (type === 'S') {
      const size = decodeNumber(block, { at: OLD_HEAD.size, length: NUMBER });
      const map = new SparseMap('old', where, size ?? -1, undefined, block[OLD_HEAD.more] !== 0);
      map.#takeOld(block, OLD_HEAD);
      return map;
    }
    if (!records.some(([key]) => key.startsWith('GNU.sparse.'))) return undefined;
    const text = (key: string): string | undefined =>
      records.findLast(([one]) => one === `GNU.sparse.${key}`)?.[1];
    const [major, minor] = [text('major'), text('minor')];
    const size = number(text('realsize') ?? text('size') ?? '');
    if (major === '1' && minor === '0') return new SparseMap('1.0', where, size, text('name'), true);
    if (major !== undefined && major !== '0') {
      const format = printable(`${major}.${minor ?? ''}`.slice(0, 20));
      throw new ImageError(
        'UNKNOWN_CODEC',
        `${where}: a sparse file of format ${format}, where 0.0, 0.1 and 1.0 are known; write the archive again without --sparse`,
      );
    }
    const map = new SparseMap('records', where, size, text('name'), false);
    const listed = text('map')?.split(',') ?? pairedNumbers(records);
    map.#take(listed.map(number));
    return map;
  }

  /** Whether the map is complete. */
  get done(): boolean {
    return !this.#more;
  }

  /** Takes the next block of the map. Throws ImageError BAD_HEADER, TOO_LARGE. */
  push(block: Buffer): void {
    this.#read += block.length;
    if (this.#read > MAX_MAP) {
      throw new ImageError(
        'TOO_LARGE',
        `${this.#where}: the map of this sparse file is larger than ${MAX_MAP} bytes; the file is damaged or hostile`,
      );
    }
    if (this.#kind === 'old') {
      this.#takeOld(block, OLD_NEXT);
      this.#more = block[OLD_NEXT.more] !== 0;
      return;
    }
    this.mapped += block.length;
    this.#takeLines(block.toString('latin1'));
  }

  /**
   * The runs, in order, of which `stored` bytes follow. Throws ImageError BAD_HEADER for a map that is no such, and
   * UNKNOWN_CODEC for one that programs read in different ways.
   */
  runs(stored: number): readonly SparseRun[] {
    let end = 0;
    let sum = 0;
    for (const [offset, length] of this.#runs) {
      if (!(offset >= end && length >= 0 && offset + length <= this.size)) throw this.#broken();
      if (sum % BLOCK !== 0 && length > 0) {
        throw new ImageError(
          'UNKNOWN_CODEC',
          `${this.#where}: a sparse file with a part that is not whole blocks, which programs read differently; write the archive again without --sparse`,
        );
      }
      end = offset + length;
      sum += length;
    }
    if (!Number.isSafeInteger(this.size) || sum !== stored) throw this.#broken();
    return this.#runs.filter(([, length]) => length > 0);
  }

  #takeOld(block: Buffer, { at, runs }: { readonly at: number; readonly runs: number }): void {
    for (let run = 0; run < runs; run++) {
      const place = at + run * 2 * NUMBER;
      if (block[place + NUMBER] === 0) return;
      const offset = decodeNumber(block, { at: place, length: NUMBER });
      const length = decodeNumber(block, { at: place + NUMBER, length: NUMBER });
      this.#take([offset ?? -1, length ?? -1]);
    }
  }

  /** Numbers of 1.0, a line each: how many runs there are, then the two of each run. */
  #takeLines(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      const value = number(line);
      if (value < 0) throw this.#broken();
      this.#numbers.push(value);
      if (this.#numbers.length < 1 + 2 * (this.#numbers[0] ?? 0)) continue;
      this.#more = false;
      this.#take(this.#numbers.slice(1));
      return;
    }
    if (this.#text.length > 2 * BLOCK) throw this.#broken();
  }

  #take(numbers: readonly number[]): void {
    if (numbers.length % 2 !== 0) throw this.#broken();
    for (let at = 0; at < numbers.length; at += 2)
      this.#runs.push([numbers[at] ?? -1, numbers[at + 1] ?? -1]);
  }

  #broken(): ImageError {
    return new ImageError(
      'BAD_HEADER',
      `${this.#where}: the map of this sparse file does not fit what is stored of it; the file is damaged, fetch it again`,
    );
  }
}

/** Decimal digits as a number; -1 for other text. */
const number = (text: string): number => (/^\d{1,15}$/.test(text) ? Number(text) : -1);

/** The numbers of format 0.0: a record each. */
function pairedNumbers(records: readonly PaxRecord[]): string[] {
  const values = (key: string): string[] => records.flatMap(([one, value]) => (one === key ? [value] : []));
  const [offsets, lengths] = [values('GNU.sparse.offset'), values('GNU.sparse.numbytes')];
  return offsets.flatMap((offset, at) => [offset, lengths[at] ?? '']);
}
