import type { MetadataReader } from '../source.js';
import {
  damaged,
  decodeDstring,
  decodeLong,
  requireTag,
  TAG,
  tagOf,
  type LongAllocation,
} from './descriptor.js';
import { locateBlock, sparedPartition, virtualPartition, type Partition } from './partition.js';

/** A UDF file system as a whole. */
export interface UdfVolume {
  readonly revision: string; // `1.02`
  readonly volumeId: string; // of the logical volume
  readonly blockSize: number; // bytes
  readonly partitions: readonly Partition[];
  readonly root: LongAllocation; // of the root directory's file entry
}

const BLOCK_SIZES = [2048, 512, 1024, 4096];
const MAX_SEQUENCE = 64; // descriptors; writers use some eight
const ANCHOR_BLOCK = 256;

/**
 * Finds the UDF file system of an image: anchor, volume descriptor sequence, partitions, file set (ECMA-167 3/8.4, UDF
 * 2.2). Throws ImageError: damage, or a kind of partition that is not read.
 */
export async function readUdfVolume(reader: MetadataReader): Promise<UdfVolume> {
  for (const blockSize of BLOCK_SIZES) {
    const last = Math.floor(reader.size / blockSize) - 1;
    for (const block of [ANCHOR_BLOCK, last, last - ANCHOR_BLOCK]) {
      if (block < 0 || block > last) continue;
      const anchor = await reader.read('The UDF anchor', block * blockSize, 512);
      if (tagOf(anchor) !== TAG.anchor || anchor.readUInt32LE(12) !== block) continue;
      return readAnchored(reader, anchor, blockSize);
    }
  }
  throw damaged('no anchor volume descriptor in any of its places');
}

/** The descriptors of a volume that count: of several of a kind the one with the highest number (ECMA-167 3/8.4.3). */
interface Sequence {
  logicalVolume?: Buffer;
  readonly partitions: Map<number, Buffer>; // by partition number
}

async function readAnchored(reader: MetadataReader, anchor: Buffer, blockSize: number): Promise<UdfVolume> {
  const main = await readSequence(reader, anchor.readUInt32LE(20), anchor.readUInt32LE(16), blockSize);
  const sequence =
    main.logicalVolume === undefined
      ? await readSequence(reader, anchor.readUInt32LE(28), anchor.readUInt32LE(24), blockSize)
      : main;
  const { logicalVolume } = sequence;
  if (logicalVolume === undefined) throw damaged('no logical volume descriptor');
  if (logicalVolume.readUInt32LE(212) !== blockSize)
    throw damaged(
      `blocks of ${logicalVolume.readUInt32LE(212)} bytes in a volume of sectors of ${blockSize}`,
    );
  const partitions = await readPartitions(reader, logicalVolume, sequence.partitions, blockSize);
  const revision = logicalVolume.readUInt16LE(240);
  const volume = {
    revision: `${revision >> 8}.${(revision & 0xff).toString(16).padStart(2, '0')}`,
    volumeId: decodeDstring(logicalVolume.subarray(84, 212)),
    blockSize,
    partitions,
  };
  const { partition, block } = decodeLong(logicalVolume, 248);
  const holder = partitions[partition];
  if (holder === undefined)
    throw damaged(`the file set is in partition ${partition}, of which there are ${partitions.length}`);
  const offset = locateBlock(holder, block) * blockSize;
  const fileSet = await reader.read('The file set descriptor', offset, blockSize);
  requireTag(fileSet, [TAG.fileSet], 'the file set descriptor');
  return { ...volume, root: decodeLong(fileSet, 400) };
}

async function readSequence(
  reader: MetadataReader,
  start: number,
  length: number,
  blockSize: number,
): Promise<Sequence> {
  const newest = new Map<string, number>();
  const sequence: Sequence = { partitions: new Map() };
  let block = start;
  let end = start + Math.floor(length / blockSize);
  for (let count = 0; block < end && count < MAX_SEQUENCE; count++, block++) {
    if ((block + 1) * blockSize > reader.size) break;
    const bytes = await reader.read('A UDF volume descriptor', block * blockSize, blockSize);
    const tag = tagOf(bytes);
    if (tag === undefined || tag === TAG.terminating) break;
    if (tag === TAG.volumePointer) {
      block = bytes.readUInt32LE(24) - 1;
      end = block + 1 + Math.floor(bytes.readUInt32LE(20) / blockSize);
      continue;
    }
    const number = bytes.readUInt32LE(16);
    const key = tag === TAG.partition ? `${tag}:${bytes.readUInt16LE(22)}` : String(tag);
    if (number < (newest.get(key) ?? 0)) continue;
    newest.set(key, number);
    if (tag === TAG.partition) sequence.partitions.set(bytes.readUInt16LE(22), bytes);
    if (tag === TAG.logicalVolume) sequence.logicalVolume = bytes;
  }
  return sequence;
}

/** The partition maps of a logical volume (ECMA-167 3/10.7, UDF 2.2.8 to 2.2.10), each as what finds its blocks. */
async function readPartitions(
  reader: MetadataReader,
  logicalVolume: Buffer,
  descriptors: ReadonlyMap<number, Buffer>,
  blockSize: number,
): Promise<Partition[]> {
  const count = logicalVolume.readUInt32LE(268);
  const end = Math.min(440 + logicalVolume.readUInt32LE(264), logicalVolume.length);
  const partitions: Partition[] = [];
  const physical = (number: number): Partition => {
    const descriptor = descriptors.get(number);
    if (descriptor === undefined) throw damaged(`partition ${number} is mapped and not described`);
    return {
      kind: 'physical',
      start: descriptor.readUInt32LE(188),
      blocks: descriptor.readUInt32LE(192),
    };
  };
  let at = 440;
  for (let index = 0; index < count && at + 6 <= end; index++) {
    const length = logicalVolume.readUInt8(at + 1);
    const map = logicalVolume.subarray(at, Math.min(at + length, end));
    if (map[0] === 1 && map.length >= 6) {
      partitions.push(physical(map.readUInt16LE(4)));
    } else if (map[0] === 2 && map.length >= 64) {
      const kind = map.toString('latin1', 5, 28).replace(/\0+$/, '');
      const under = physical(map.readUInt16LE(38));
      if (kind === '*UDF Virtual Partition') {
        partitions.push(await virtualPartition(reader, under, blockSize));
      } else if (kind === '*UDF Sparable Partition') {
        partitions.push(await sparedPartition(reader, under, map, blockSize));
      } else {
        partitions.push({ kind: 'unread', name: kind });
      }
    } else throw damaged('a partition map of no known kind');
    at += length;
  }
  if (partitions.length === 0) throw damaged('no partition');
  return partitions;
}
