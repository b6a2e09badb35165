import type { MetadataReader } from '../source.js';
import { readAllocated, readFileEntry } from './file.js';
import { damaged, tagOf, TAG, unsupported } from './descriptor.js';

/** Where the blocks of a partition lie in the image. Blocks are logical blocks, counted from the partition's start. */
export type Partition =
  | { readonly kind: 'physical'; readonly start: number; readonly blocks: number }
  /** Of media that are written once: a table says where each block was written last (UDF 2.2.8). */
  | { readonly kind: 'virtual'; readonly under: Partition; readonly table: Uint32Array }
  /** Of media that wear out: packets of blocks that were moved, by their first block (UDF 2.2.9). */
  | {
      readonly kind: 'spared';
      readonly under: Partition;
      readonly packet: number; // blocks
      readonly spares: ReadonlyMap<number, number>; // to blocks of the image
    }
  | { readonly kind: 'unread'; readonly name: string };

/** Finds where a block of a partition lies, in blocks of the image. Throws ImageError BAD_ISO. */
export function locateBlock(partition: Partition, block: number): number {
  switch (partition.kind) {
    case 'unread':
      throw unsupported(`the volume has a partition of kind ${JSON.stringify(partition.name)}`);
    case 'physical':
      if (block >= partition.blocks) throw damaged(`block ${block} is outside of its partition`);
      return partition.start + block;
    case 'virtual': {
      const place = partition.table[block];
      if (place === undefined || place === 0xffffffff)
        throw damaged(`block ${block} is not in the virtual allocation table`);
      return locateBlock(partition.under, place);
    }
    case 'spared': {
      const within = block % partition.packet;
      const spare = partition.spares.get(block - within);
      return spare === undefined ? locateBlock(partition.under, block) : spare + within;
    }
  }
}

/** Blocks at the end of an image among which the virtual allocation table's file entry is looked for. */
const TABLE_SEARCH = 32;
const MAX_TABLE = 64 * 1024 * 1024; // bytes
/** File types of a virtual allocation table: UDF 1.50 has none of its own (UDF 2.2.11). */
const TABLE_TYPES = [248, 0];
const OLD_MARK = '*UDF Virtual Alloc Tbl';
const OLD_TAIL = 36; // bytes after the table: the mark's regid, and where the table before it is

/** A partition of media that are written once. The file entry of its table is the last thing on it. */
export async function virtualPartition(
  reader: MetadataReader,
  under: Partition,
  blockSize: number,
): Promise<Partition> {
  const last = Math.floor(reader.size / blockSize) - 1;
  const locate = (_partition: number, block: number): number => locateBlock(under, block) * blockSize;
  for (let block = last; block >= 0 && block > last - TABLE_SEARCH; block--) {
    const bytes = await reader.read('The virtual allocation table', block * blockSize, blockSize);
    const tag = tagOf(bytes);
    if (tag !== TAG.file && tag !== TAG.extendedFile) continue;
    const entry = await readFileEntry(reader, bytes, {
      offset: block * blockSize,
      partition: 0,
      blockSize,
      locate,
    });
    if (!TABLE_TYPES.includes(entry.fileType)) continue;
    if (entry.size > MAX_TABLE) throw damaged(`a virtual allocation table of ${entry.size} bytes`);
    const content = await readAllocated(reader, entry, 'The virtual allocation table');
    const table = entry.fileType === 0 ? oldTable(content) : newTable(content);
    if (table === undefined) continue;
    const entries = new Uint32Array(Math.floor(table.length / 4));
    for (const at of entries.keys()) entries[at] = table.readUInt32LE(at * 4);
    return { kind: 'virtual', under, table: entries };
  }
  throw damaged('no virtual allocation table at the end of the image');
}

function oldTable(content: Buffer): Buffer | undefined {
  const end = content.length - OLD_TAIL;
  return end >= 0 && content.toString('latin1', end + 1, end + 1 + OLD_MARK.length) === OLD_MARK
    ? content.subarray(0, end)
    : undefined;
}

function newTable(content: Buffer): Buffer | undefined {
  const header = content.length >= 2 ? content.readUInt16LE(0) : Infinity;
  return header >= 152 && header <= content.length ? content.subarray(header) : undefined;
}

const MAX_TABLES = 4;

/** A partition of media that wear out; `map` is its partition map. */
export async function sparedPartition(
  reader: MetadataReader,
  under: Partition,
  map: Buffer,
  blockSize: number,
): Promise<Partition> {
  const packet = map.readUInt16LE(40);
  const tables = map.readUInt8(42);
  const size = map.readUInt32LE(44);
  if (packet === 0 || tables > MAX_TABLES || size > blockSize * packet)
    throw damaged('a sparable partition map of impossible numbers');
  for (let index = 0; index < tables; index++) {
    const offset = map.readUInt32LE(48 + 4 * index) * blockSize;
    if (offset + size > reader.size || size < 56) continue;
    const bytes = await reader.read('A sparing table', offset, size);
    if (tagOf(bytes) !== 0 || bytes.toString('latin1', 17, 35) !== '*UDF Sparing Table') continue;
    const spares = new Map<number, number>();
    const count = bytes.readUInt16LE(48);
    for (let at = 56; at + 8 <= bytes.length && spares.size < count; at += 8) {
      const original = bytes.readUInt32LE(at);
      if (original >= 0xfffffff0) continue; // available, or worn out too
      spares.set(original, bytes.readUInt32LE(at + 4));
    }
    return { kind: 'spared', under, packet, spares };
  }
  throw damaged('no sparing table that is whole');
}
