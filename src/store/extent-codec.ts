import { asDigest, type Digest } from './digest.js';
import { StoreError } from './errors.js';
import type { ExtentMap, Part } from './extents.js';

// magic | count | count × 32-byte digest | count | count × part
// part: 0, blob index, offset, length | 1, length, bytes | 2, length
// Counts, indexes, offsets and lengths are unsigned LEB128 in the fewest bytes. Digests stand in order of first use.
const magic = Buffer.from('RBMAP1\n', 'latin1');
const digestBytes = 32;
const kinds = { blob: 0, inline: 1, zero: 2 } as const;

/** `map` in its binary form: the same map gives the same bytes, and no two maps give the same. */
export function encodeMap(map: ExtentMap): Buffer {
  const indexes = new Map<Digest, number>();
  for (const part of map.parts) {
    if (part.kind === 'blob' && !indexes.has(part.blob)) indexes.set(part.blob, indexes.size);
  }
  const chunks: Buffer[] = [magic, varints(indexes.size)];
  for (const digest of indexes.keys()) chunks.push(Buffer.from(digest, 'hex'));
  chunks.push(varints(map.parts.length));
  for (const part of map.parts) {
    if (part.kind === 'blob') {
      chunks.push(varints(kinds.blob, indexes.get(part.blob) ?? 0, part.offset, part.length));
    } else if (part.kind === 'inline') {
      chunks.push(varints(kinds.inline, part.bytes.length), part.bytes);
    } else {
      chunks.push(varints(kinds.zero, part.length));
    }
  }
  return Buffer.concat(chunks);
}

function varints(...values: readonly number[]): Buffer {
  const bytes: number[] = [];
  for (const value of values) {
    let rest = value;
    while (rest >= 0x80) {
      bytes.push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    bytes.push(rest);
  }
  return Buffer.from(bytes);
}

/**
 * The map that `encodeMap` gave as `bytes`. Throws StoreError BAD_MAP on anything that encodeMap does not write: cut
 * short, longer than it says, numbers in more bytes than needed, empty parts, digests unused or out of order.
 */
export function decodeMap(bytes: Buffer): ExtentMap {
  const input = new Input(bytes);
  if (!input.take(magic.length).equals(magic)) throw input.bad('it does not begin as one');
  const digests = Array.from({ length: input.count(digestBytes) }, () => input.digest());
  if (new Set(digests).size !== digests.length) throw input.bad('a digest stands in it twice');
  const parts: Part[] = [];
  let size = 0;
  let used = 0;
  for (let left = input.count(2); left > 0; left--) {
    const part = readPart(input, digests, used);
    if (part.kind === 'blob' && part.blob === digests[used]) used++;
    size += part.kind === 'inline' ? part.bytes.length : part.length;
    if (!Number.isSafeInteger(size)) throw input.bad('its parts are too long');
    parts.push(part);
  }
  if (used !== digests.length) throw input.bad('a digest in it is unused');
  if (input.left > 0) throw input.bad('something follows its end');
  return { size, parts };
}

function readPart(input: Input, digests: readonly Digest[], used: number): Part {
  const kind = input.number();
  if (kind === kinds.blob) {
    const index = input.number();
    const blob = index <= used ? digests[index] : undefined;
    if (blob === undefined) throw input.bad('a digest is out of order');
    const offset = input.number();
    const length = input.length();
    if (!Number.isSafeInteger(offset + length)) throw input.bad('a part lies too far out');
    return { kind: 'blob', blob, offset, length };
  }
  if (kind === kinds.inline) return { kind: 'inline', bytes: input.take(input.length()) };
  if (kind === kinds.zero) return { kind: 'zero', length: input.length() };
  throw input.bad(`there is no kind of part ${kind}`);
}

class Input {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  bad(why: string): StoreError {
    return new StoreError(
      'BAD_MAP',
      `not an extent map (byte ${this.#at}): ${why}; run: rackboot store verify`,
    );
  }

  take(length: number): Buffer {
    if (length > this.left) throw this.bad('it ends early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.take(1).readUInt8();
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw this.bad('a number is too large');
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw this.bad('a number is longer than needed');
        return value;
      }
    }
  }

  length(): number {
    const length = this.number();
    if (length === 0) throw this.bad('a part is empty');
    return length;
  }

  /** A count of things that take at least `each` bytes, so that no short input asks for a large array. */
  count(each: number): number {
    const count = this.number();
    if (count * each > this.left) throw this.bad('it ends early');
    return count;
  }

  digest(): Digest {
    const digest = asDigest(this.take(digestBytes).toString('hex'));
    if (digest === undefined) throw this.bad('a digest is malformed');
    return digest;
  }
}
