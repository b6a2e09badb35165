/** Writes files into an empty UDF image that mkudffs made, so that readers have something to read in every revision. */
export interface UdfFile {
  readonly path: string;
  readonly bytes?: Buffer;
  readonly link?: readonly string[]; // components; '/' first for an absolute one
  /** How its bytes are allocated; `holes` leaves every second block out, `chain` continues in extents of descriptors. */
  readonly how?: 'embedded' | 'short' | 'long' | 'holes' | 'chain';
  readonly mode?: number;
}

interface Geometry {
  readonly blockSize: number;
  readonly kind: 'physical' | 'virtual' | 'spared';
  readonly extended: boolean; // extended file entries, of revision 2.00 and later
}

const FREE = 400; // first block that is used here; mkudffs fills the beginning

export function addFiles(image: Buffer, files: readonly UdfFile[], geometry: Geometry): Buffer {
  return new Writer(image, geometry).write(files);
}

/** An ICB: its number in the partition that files are in. */
type Icb = number;

class Writer {
  readonly #image: Buffer;
  readonly #geometry: Geometry;
  readonly #start: number; // of the partition, in blocks
  readonly #table: number[] = []; // virtual: where each block of metadata is
  #free: number;

  constructor(image: Buffer, geometry: Geometry) {
    this.#image = Buffer.from(image);
    this.#geometry = geometry;
    this.#start = this.#find((block) => this.#tag(block) === 5).at(-1)!;
    this.#start = this.#block(this.#start).readUInt32LE(188);
    this.#free = FREE;
  }

  write(files: readonly UdfFile[]): Buffer {
    const { blockSize, kind } = this.#geometry;
    const root = this.#find(
      (block) => [261, 266].includes(this.#tag(block)) && this.#block(block)[27] === 4,
    )[0]!;
    if (kind === 'virtual') {
      const table = this.#find(
        (block) => [261, 266].includes(this.#tag(block)) && [248, 0].includes(this.#block(block)[27]!),
      ).at(-1)!;
      const entry = this.#block(table);
      const old = entry[27] === 0;
      const [end, attributes] = this.#tag(table) === 261 ? [176, 168] : [216, 208];
      const begin = end + entry.readUInt32LE(attributes);
      // mkudffs puts an empty table there, whose only entries are the file set and the root.
      const content = Buffer.from(entry.subarray(begin, begin + Number(entry.readBigUInt64LE(56))));
      const body = old ? content.subarray(0, content.length - 36) : content.subarray(content.readUInt16LE(0));
      for (let at = 0; at < body.length; at += 4) this.#table.push(body.readUInt32LE(at));
      const rootNumber = this.#table.indexOf(root - this.#start);
      this.#directory(files, '', rootNumber, rootNumber);
      const entries = Buffer.alloc(4 * this.#table.length);
      this.#table.forEach((place, at) => entries.writeUInt32LE(place, 4 * at));
      const [head, tail] = old
        ? [Buffer.alloc(0), content.subarray(content.length - 36)]
        : [content.subarray(0, content.readUInt16LE(0)), Buffer.alloc(0)];
      const place = this.#take(1);
      this.#entry(place, { type: old ? 0 : 248, content: Buffer.concat([head, entries, tail]), flags: 3 });
      return this.#image.subarray(0, (this.#start + place + 1) * blockSize);
    }
    this.#directory(files, '', root - this.#start, root - this.#start);
    return this.#image;
  }

  /** Writes the directory at `path` into the entry `icb`. */
  #directory(files: readonly UdfFile[], path: string, icb: Icb, parent: Icb): void {
    const inside = files.filter((file) => file.path.startsWith(path));
    const names = [...new Set(inside.map((file) => file.path.slice(path.length).split('/')[0]!))];
    const identifiers = [this.#identifier('', parent, 0x0a)];
    for (const name of names) {
      const file = inside.find((candidate) => candidate.path === path + name);
      const child = this.#icb();
      identifiers.push(this.#identifier(name, child, file === undefined ? 2 : 0));
      if (file === undefined) this.#directory(files, `${path}${name}/`, child, icb);
      else this.#file(file, child);
    }
    identifiers.splice(1, 0, this.#identifier('deleted', 0, 4));
    const content = Buffer.concat(identifiers);
    const { blockSize, kind } = this.#geometry;
    if (kind === 'virtual' || content.length < blockSize - 300)
      this.#entry(this.#placeOf(icb), { type: 4, content, flags: 3 });
    else
      this.#entry(this.#placeOf(icb), {
        type: 4,
        size: content.length,
        content: this.#short(this.#put(content), content.length),
        flags: 0,
      });
  }

  #file({ bytes = Buffer.alloc(0), link, how = 'short', mode = 0o644 }: UdfFile, icb: Icb): void {
    const place = this.#placeOf(icb);
    if (link !== undefined) {
      const content = Buffer.concat(
        link.map((name) => {
          const type = { '/': 2, '..': 3, '.': 4 }[name] ?? 5;
          const identifier = type === 5 ? compressed(name) : Buffer.alloc(0);
          return Buffer.concat([Buffer.from([type, identifier.length, 0, 0]), identifier]);
        }),
      );
      return this.#entry(place, { type: 12, content, flags: 3, mode });
    }
    const { blockSize, kind } = this.#geometry;
    const size = bytes.length;
    if (how === 'embedded') return this.#entry(place, { type: 5, content: bytes, flags: 3, mode });
    // Of media that are written once, data is in the partition below, which only a long address can name.
    if (how === 'long' || kind === 'virtual') {
      const content = this.#long(this.#put(bytes), size, 0);
      return this.#entry(place, { type: 5, size, content, flags: 1, mode });
    }
    if (how === 'short')
      return this.#entry(place, {
        type: 5,
        size,
        content: this.#short(this.#put(bytes), size),
        flags: 0,
        mode,
      });
    const runs: Buffer[] = [];
    for (let at = 0, odd = false; at < size; at += blockSize, odd = !odd) {
      const piece = bytes.subarray(at, Math.min(at + blockSize, size));
      if (how === 'holes' && odd) runs.push(this.#short(0, piece.length, 2));
      else {
        if (how === 'chain') this.#take(1); // so that no run continues the last
        runs.push(this.#short(this.#put(piece), piece.length));
      }
    }
    if (how === 'holes')
      return this.#entry(place, { type: 5, size, content: Buffer.concat(runs), flags: 0, mode });
    let rest: Buffer = Buffer.alloc(0);
    for (const group of chunked(runs, 5).reverse()) {
      const descriptors = Buffer.concat([...group, rest]);
      const at = this.#take(1);
      const body = Buffer.alloc(8 + descriptors.length);
      body.writeUInt32LE(descriptors.length, 4);
      descriptors.copy(body, 8);
      this.#tagged(this.#start + at, 258, body, at);
      rest = this.#short(at, blockSize, 3);
    }
    return this.#entry(place, { type: 5, size, content: rest, flags: 0, mode });
  }

  /** A new block of metadata, by the number that others refer to it with. */
  #icb(): Icb {
    const block = this.#take(1);
    if (this.#geometry.kind !== 'virtual') return block;
    this.#table.push(block);
    return this.#table.length - 1;
  }

  #placeOf(icb: Icb): number {
    return this.#geometry.kind === 'virtual' ? this.#table[icb]! : icb;
  }

  #take(blocks: number): number {
    this.#free += blocks;
    return this.#free - blocks;
  }

  #put(bytes: Buffer): number {
    const block = this.#take(Math.max(1, Math.ceil(bytes.length / this.#geometry.blockSize)));
    bytes.copy(this.#image, (this.#start + block) * this.#geometry.blockSize);
    return block;
  }

  #short(block: number, length: number, type = 0): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(((type << 30) | length) >>> 0, 0);
    bytes.writeUInt32LE(block, 4);
    return bytes;
  }

  #long(block: number, length: number, partition: number): Buffer {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(length, 0);
    bytes.writeUInt32LE(block, 4);
    bytes.writeUInt16LE(partition, 8);
    return bytes;
  }

  #identifier(name: string, icb: Icb, characteristics: number): Buffer {
    const encoded = name === '' ? Buffer.alloc(0) : compressed(name);
    const bytes = Buffer.alloc((38 + encoded.length + 3) & ~3);
    bytes.writeUInt16LE(1, 16);
    bytes[18] = characteristics;
    bytes[19] = encoded.length;
    this.#long(icb, this.#geometry.blockSize, this.#geometry.kind === 'virtual' ? 1 : 0).copy(bytes, 20);
    encoded.copy(bytes, 38);
    return tagged(bytes, 257, 0);
  }

  #entry(
    block: number,
    {
      type,
      content,
      size = content.length,
      flags,
      mode = 0o755,
    }: { type: number; content: Buffer; size?: number; flags: number; mode?: number },
  ): void {
    const extended = this.#geometry.extended;
    const bytes = Buffer.alloc((extended ? 216 : 176) + content.length);
    bytes.writeUInt16LE(4, 20);
    bytes.writeUInt16LE(1, 24);
    bytes[27] = type;
    bytes.writeUInt16LE(flags | ((mode & 0o4000) !== 0 ? 0x40 : 0), 34);
    bytes.writeUInt32LE(1000, 36);
    bytes.writeUInt32LE(0xffffffff, 40);
    const three = (shift: number): number => (mode >> shift) & 7;
    bytes.writeUInt32LE(three(0) | (three(3) << 5) | (three(6) << 10), 44);
    bytes.writeUInt16LE(1, 48);
    bytes.writeBigUInt64LE(BigInt(size), 56);
    const modified = extended ? 92 : 84;
    bytes.writeUInt16LE(0x1000 | 60, modified); // an hour east
    bytes.writeInt16LE(2024, modified + 2);
    Buffer.from([2, 29, 13, 34, 56]).copy(bytes, modified + 4);
    bytes.writeUInt32LE(content.length, extended ? 212 : 172);
    content.copy(bytes, extended ? 216 : 176);
    this.#image.fill(
      0,
      (this.#start + block) * this.#geometry.blockSize,
      (this.#start + block + 1) * this.#geometry.blockSize,
    );
    if (bytes.length > this.#geometry.blockSize) throw new Error('an entry larger than a block');
    tagged(bytes, extended ? 266 : 261, block).copy(
      this.#image,
      (this.#start + block) * this.#geometry.blockSize,
    );
  }

  #tagged(block: number, id: number, body: Buffer, location: number): void {
    tagged(Buffer.concat([Buffer.alloc(16), body]), id, location).copy(
      this.#image,
      block * this.#geometry.blockSize,
    );
  }

  #block(block: number): Buffer {
    const { blockSize } = this.#geometry;
    return this.#image.subarray(block * blockSize, (block + 1) * blockSize);
  }

  #tag(block: number): number {
    return this.#block(block).readUInt16LE(0);
  }

  #find(matches: (block: number) => boolean): number[] {
    const blocks = Math.floor(this.#image.length / this.#geometry.blockSize);
    return Array.from({ length: blocks }, (_, block) => block).filter(matches);
  }
}

function compressed(name: string): Buffer {
  if (!/[^\0-\xff]/.test(name)) return Buffer.concat([Buffer.from([8]), Buffer.from(name, 'latin1')]);
  return Buffer.concat([Buffer.from([16]), Buffer.from(name, 'utf16le').swap16()]);
}

/** `bytes`, whose first 16 become the tag, with the checksums in it. */
export function tagged(bytes: Buffer, id: number, location: number): Buffer {
  bytes.writeUInt16LE(id, 0);
  bytes.writeUInt16LE(2, 2);
  bytes[4] = 0;
  let crc = 0;
  for (const byte of bytes.subarray(16))
    for (let bit = 7, value = byte; bit >= 0; bit--) {
      const carry = ((crc >> 15) ^ (value >> bit)) & 1;
      crc = ((crc << 1) & 0xffff) ^ (carry === 1 ? 0x1021 : 0);
    }
  bytes.writeUInt16LE(crc, 8);
  bytes.writeUInt16LE(bytes.length - 16, 10);
  bytes.writeUInt32LE(location, 12);
  let sum = 0;
  for (let at = 0; at < 16; at++) if (at !== 4) sum += bytes[at]!;
  bytes[4] = sum & 0xff;
  return bytes;
}

function chunked<Item>(items: readonly Item[], size: number): Item[][] {
  const groups: Item[][] = [];
  for (let at = 0; at < items.length; at += size) groups.push(items.slice(at, at + size));
  return groups;
}
