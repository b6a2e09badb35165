import { ImageError } from '../../errors.js';
import { printable } from '../../printable.js';
import type { MetadataReader } from '../source.js';
import type { IsoNode } from '../tree.js';
import { damaged, decodeCompressed, decodeLong, requireTag, TAG, type LongAllocation } from './descriptor.js';
import { readAllocated, readFileEntry, type FileEntry } from './file.js';
import { locateBlock } from './partition.js';
import type { UdfVolume } from './volume.js';

const MAX_DEPTH = 256;
const MAX_PATH = 4096; // characters, as PATH_MAX
const MAX_DIRECTORY = 256 * 1024 * 1024; // bytes
const MAX_TARGET = 64 * 1024; // bytes

/** Kinds and type bits by file type (ECMA-167 4/14.6.6). */
const KINDS: Readonly<Record<number, readonly [IsoNode['kind'], number]>> = {
  4: ['directory', 0o040000],
  5: ['file', 0o100000],
  6: ['block', 0o060000],
  7: ['character', 0o020000],
  9: ['fifo', 0o010000],
  10: ['socket', 0o140000],
  12: ['symlink', 0o120000],
  249: ['file', 0o100000], // real-time file
};

/** An entry of a directory. */
interface Identifier {
  readonly name: string;
  readonly icb: LongAllocation;
}

/** Every node of a UDF file system but its root, sorted by path. Throws ImageError for anything damaged or hostile. */
export async function readUdfTree(
  reader: MetadataReader,
  volume: UdfVolume,
  maxEntries: number,
): Promise<IsoNode[]> {
  const { blockSize, partitions } = volume;
  const locate = (partition: number, block: number): number => {
    const found = partitions[partition];
    if (found === undefined)
      throw damaged(`an address in partition ${partition}, of which there are ${partitions.length}`);
    return locateBlock(found, block) * blockSize;
  };
  const entryAt = async ({ block, partition }: LongAllocation): Promise<FileEntry> => {
    const offset = locate(partition, block);
    const bytes = await reader.read('A UDF file entry', offset, blockSize);
    return readFileEntry(reader, bytes, { offset, partition, blockSize, locate });
  };
  const nodes: IsoNode[] = [];
  const visited = new Set<string>();
  const pending: { readonly path: string; readonly depth: number; readonly entry: FileEntry }[] = [];
  const enter = (path: string, depth: number, icb: LongAllocation, entry: FileEntry): void => {
    const place = `${icb.partition}:${icb.block}`;
    if (visited.has(place))
      throw damaged(`/${printable(path)} is a directory that is there twice, so the tree loops`);
    if (depth > MAX_DEPTH || path.length > MAX_PATH)
      throw damaged(
        `/${printable(path.slice(0, 200))} lies deeper than ${MAX_DEPTH} directories or ${MAX_PATH} characters`,
      );
    visited.add(place);
    pending.push({ path, depth, entry });
  };
  const root = await entryAt(volume.root);
  if (root.fileType !== 4) throw damaged('the root is not a directory');
  enter('', 0, volume.root, root);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { path: parent, depth, entry: directory } = next;
    const names = new Set<string>();
    for (const { name, icb } of await identifiersOf(reader, directory, parent)) {
      const path = parent === '' ? name : `${parent}/${name}`;
      if (names.has(name)) throw damaged(`/${printable(path)} is there twice`);
      names.add(name);
      if (nodes.length >= maxEntries)
        throw new ImageError(
          'TOO_LARGE',
          `The image holds more than ${maxEntries} files, which is more than rackboot reads.`,
        );
      const entry = await entryAt(icb);
      const [kind, typeBits] = KINDS[entry.fileType] ?? [];
      if (kind === undefined || typeBits === undefined) continue; // a stream, a bitmap: no file
      if (kind === 'directory') enter(path, depth + 1, icb, entry);
      const target = kind === 'symlink' ? await targetOf(reader, entry) : undefined;
      nodes.push({
        path,
        kind,
        size: kind === 'file' ? entry.size : 0,
        ...(kind === 'file' ? placeOf(entry.extents) : { extents: [] }),
        mode: typeBits | entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        compressed: false,
        ...(target === undefined ? {} : { target }),
      });
    }
  }
  return nodes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** The bytes of a file: recorded ones alone, or with the holes between them. */
function placeOf(runs: FileEntry['extents']): Pick<IsoNode, 'extents' | 'runs'> {
  const extents = runs.flatMap(({ offset, length }) => (offset === null ? [] : [{ offset, length }]));
  return extents.length === runs.length ? { extents } : { extents, runs };
}

/** The file identifier descriptors of a directory (ECMA-167 4/14.4), without those of its parent and of deleted files. */
async function identifiersOf(
  reader: MetadataReader,
  directory: FileEntry,
  path: string,
): Promise<Identifier[]> {
  if (directory.size > MAX_DIRECTORY)
    throw damaged(`directory /${printable(path)} of ${directory.size} bytes`);
  const bytes = await readAllocated(reader, directory, `Directory /${printable(path)}`);
  const found: Identifier[] = [];
  for (let at = 0; at + 38 <= bytes.length;) {
    const name = bytes.readUInt8(at + 19);
    const use = bytes.readUInt16LE(at + 36);
    const end = 38 + use + name;
    const length = (end + 3) & ~3; // padded
    const whole = bytes.subarray(at, at + length);
    if (whole.length < end) throw damaged(`directory /${printable(path)} ends inside an entry`);
    requireTag(whole, [TAG.fileIdentifier], `an entry of directory /${printable(path)}`);
    const characteristics = bytes.readUInt8(at + 18);
    at += length;
    if ((characteristics & 0x0c) !== 0) continue; // deleted, parent
    found.push({ name: nameOf(whole.subarray(38 + use, end), path), icb: decodeLong(whole, 20) });
  }
  return found;
}

function nameOf(bytes: Buffer, directory: string): string {
  const name = decodeCompressed(bytes);
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
    throw new ImageError(
      'UNSAFE_PATH',
      `/${printable(directory)} holds an entry named ${JSON.stringify(name)}, which is no file name. The image is damaged or hostile.`,
    );
  }
  return name;
}

/** Where a symbolic link leads, by its path components (ECMA-167 4/14.16); undefined when it is damaged. */
async function targetOf(reader: MetadataReader, entry: FileEntry): Promise<string | undefined> {
  if (entry.size > MAX_TARGET) return undefined;
  const bytes = await readAllocated(reader, entry, 'A symbolic link');
  const components: string[] = [];
  let absolute = false;
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt8(at + 1);
    const identifier = bytes.subarray(at + 4, at + 4 + length);
    switch (bytes[at]) {
      case 1: // the root, as the mount's creator and its user agree
      case 2:
        absolute = true;
        components.length = 0;
        break;
      case 3:
        components.push('..');
        break;
      case 4:
        components.push('.');
        break;
      case 5:
        components.push(decodeCompressed(identifier));
        break;
      default:
        return undefined;
    }
    at += 4 + length;
  }
  return `${absolute ? '/' : ''}${components.join('/')}`;
}
