import { isUtf8 } from 'node:buffer';
import { ImageError } from '../errors.js';
import { decodeRecord, decodeRecords, type DirectoryRecord } from './directory.js';
import { decodeRockRidge, decodeSharingProtocol, type RockRidge } from './rock-ridge.js';
import { printable } from '../printable.js';
import type { ByteRange, FileExtent, MetadataReader } from './source.js';
import { decodeUcs2, SECTOR, type IsoVolume } from './volume.js';

/** Something in the tree of an image. `path` is relative, `/`-separated, with neither `.` nor `..` components. */
export interface IsoNode {
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'block' | 'character' | 'fifo' | 'socket';
  readonly size: number; // bytes; 0 for everything that is no file
  readonly extents: readonly ByteRange[]; // the file's bytes in the image, in order, inside it
  /** Of a file with holes, which only UDF has: all its bytes, in order; `extents` are then those that are recorded. */
  readonly runs?: readonly FileExtent[];
  readonly mode: number | null; // st_mode with its type bits; null without Rock Ridge
  readonly uid: number | null;
  readonly gid: number | null;
  readonly mtime: number | null; // seconds since the epoch
  readonly target?: string; // of a symlink; absent when it is damaged
  readonly device?: { readonly major: number; readonly minor: number };
  readonly compressed: boolean; // zisofs: the extents hold compressed blocks, not the file's bytes
}

/** How the names of a tree are recorded. */
export type Namespace = 'rock-ridge' | 'udf' | 'joliet' | 'iso9660';

const MAX_DEPTH = 256;
const MAX_PATH = 4096; // characters, as PATH_MAX
const CHUNK_SECTORS = 32;

const KINDS: Readonly<Record<number, IsoNode['kind']>> = {
  0o010000: 'fifo',
  0o020000: 'character',
  0o060000: 'block',
  0o120000: 'symlink',
  0o140000: 'socket',
};

interface Directory {
  readonly path: string;
  readonly depth: number;
  readonly block: number;
  readonly size: number;
}

/** A record and, when it is one of several extents of a file, the ones that follow it. */
type FileRecords = readonly [DirectoryRecord, ...DirectoryRecord[]];

/** The number of SUSP bytes to skip when the volume uses Rock Ridge, else null. */
export async function findRockRidge(reader: MetadataReader, volume: IsoVolume): Promise<number | null> {
  const self = await readSelf(reader, volume, volume.root.block);
  return decodeSharingProtocol(self.systemUse);
}

/** Walks one volume's directories. Work is bounded by the reader's allowance, `maxEntries`, and a depth of 256. */
export class TreeWalk {
  readonly #reader: MetadataReader;
  readonly #volume: IsoVolume;
  readonly #skip: number | null;
  readonly #maxEntries: number;
  readonly #visited = new Map<number, string>();
  readonly #pending: Directory[] = [];
  readonly #nodes: IsoNode[] = [];

  constructor(
    reader: MetadataReader,
    volume: IsoVolume,
    options: { skip: number | null; maxEntries: number },
  ) {
    this.#reader = reader;
    this.#volume = volume;
    this.#skip = options.skip;
    this.#maxEntries = options.maxEntries;
  }

  get namespace(): Namespace {
    if (this.#volume.kind === 'joliet') return 'joliet';
    return this.#skip === null ? 'iso9660' : 'rock-ridge';
  }

  /** Every node but the root, sorted by path. */
  async run(): Promise<IsoNode[]> {
    const { root } = this.#volume;
    this.#enqueue({ path: '', depth: 0, block: root.block, size: root.size });
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      await this.#walk(next);
    }
    return this.#nodes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }

  #enqueue(directory: Directory): void {
    const earlier = this.#visited.get(directory.block);
    if (earlier !== undefined) {
      throw new ImageError(
        'BAD_ISO',
        `/${printable(directory.path)} and /${printable(earlier)} are the same directory, so the tree loops. The image is damaged or hostile.`,
      );
    }
    if (directory.depth > MAX_DEPTH || directory.path.length > MAX_PATH) {
      throw new ImageError(
        'BAD_ISO',
        `/${printable(directory.path.slice(0, 200))} lies deeper than ${MAX_DEPTH} directories or ${MAX_PATH} characters. The image is damaged or hostile.`,
      );
    }
    this.#visited.set(directory.block, directory.path);
    this.#pending.push(directory);
  }

  async #walk(directory: Directory): Promise<void> {
    const names = new Set<string>();
    for await (const records of this.#files(directory)) {
      const [first] = records;
      const rockRidge = this.#skip === null ? undefined : await this.#rockRidge(first, this.#skip);
      if (rockRidge?.relocated === true) continue;
      const name = this.#name(first, rockRidge, directory);
      if (names.has(name)) {
        if (this.namespace === 'iso9660') continue; // versions stand in descending order (ECMA-119 §9.3)
        throw new ImageError(
          'BAD_ISO',
          `/${printable(join(directory.path, name))} is there twice. The image is damaged or hostile; copy it again.`,
        );
      }
      names.add(name);
      if (this.#nodes.length >= this.#maxEntries) {
        throw new ImageError(
          'TOO_LARGE',
          `The image holds more than ${this.#maxEntries} files, which is more than rackboot reads.`,
        );
      }
      await this.#add(directory, name, records, rockRidge);
    }
  }

  async #add(
    parent: Directory,
    name: string,
    records: FileRecords,
    rockRidge: RockRidge | undefined,
  ): Promise<void> {
    const path = join(parent.path, name);
    const [record] = records;
    if (record.directory || rockRidge?.childBlock !== undefined) {
      let { block, size } = record;
      let fields = rockRidge;
      if (rockRidge?.childBlock !== undefined && this.#skip !== null) {
        block = rockRidge.childBlock;
        const self = await readSelf(this.#reader, this.#volume, block);
        size = self.size;
        fields = await this.#rockRidge(self, this.#skip);
      }
      this.#nodes.push({ ...common(path, record, fields), kind: 'directory', size: 0, extents: [] });
      this.#enqueue({ path, depth: parent.depth + 1, block, size });
      return;
    }
    const kind = KINDS[(rockRidge?.posix?.mode ?? 0) & 0o170000] ?? 'file';
    const isFile = kind === 'file';
    this.#nodes.push({
      ...common(path, record, rockRidge),
      kind,
      size: isFile ? records.reduce((total, { size }) => total + size, 0) : 0,
      extents: isFile ? this.#extents(path, records) : [],
      ...(kind === 'symlink' && rockRidge?.target !== undefined ? { target: text(rockRidge.target) } : {}),
      ...(rockRidge?.device !== undefined && (kind === 'block' || kind === 'character')
        ? { device: rockRidge.device }
        : {}),
    });
  }

  #extents(path: string, records: FileRecords): ByteRange[] {
    const ranges: ByteRange[] = [];
    for (const record of records) {
      if (record.size === 0) continue;
      if (record.interleaved) {
        throw new ImageError(
          'BAD_ISO',
          `/${printable(path)} is interleaved (ECMA-119 §6.4.3), which rackboot does not read.`,
        );
      }
      const offset = record.block * this.#volume.blockSize;
      if (offset + record.size > this.#reader.size) {
        throw new ImageError(
          'TRUNCATED',
          `/${printable(path)} ends at byte ${offset + record.size} of the image, which has only ${this.#reader.size}. Copy the image again, completely.`,
        );
      }
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.length === offset) {
        ranges[ranges.length - 1] = { offset: last.offset, length: last.length + record.size };
      } else {
        ranges.push({ offset, length: record.size });
      }
    }
    return ranges;
  }

  /** The directory's records, without `.`, `..` and associated files, the extents of one file together. */
  async *#files(directory: Directory): AsyncGenerator<FileRecords> {
    let open: [DirectoryRecord, ...DirectoryRecord[]] | undefined;
    for await (const record of this.#records(directory)) {
      if (record.associated || isDot(record)) continue;
      if (open !== undefined && !open[0].name.equals(record.name)) {
        throw brokenFile(directory);
      }
      if (open === undefined) open = [record];
      else open.push(record);
      if (record.continued) continue;
      yield open;
      open = undefined;
    }
    if (open !== undefined) throw brokenFile(directory);
  }

  async *#records(directory: Directory): AsyncGenerator<DirectoryRecord> {
    const start = directory.block * this.#volume.blockSize;
    for (let at = 0; at < directory.size; at += CHUNK_SECTORS * SECTOR) {
      const length = Math.min(CHUNK_SECTORS * SECTOR, directory.size - at);
      yield* decodeRecords(
        await this.#reader.read(`Directory /${printable(directory.path)}`, start + at, length),
        SECTOR,
      );
    }
  }

  #rockRidge(record: DirectoryRecord, skip: number): Promise<RockRidge> {
    return decodeRockRidge(record.systemUse.subarray(skip), (block, offset, length) =>
      this.#reader.read('A continuation area', block * this.#volume.blockSize + offset, length),
    );
  }

  #name(record: DirectoryRecord, rockRidge: RockRidge | undefined, directory: Directory): string {
    let name: string;
    if (rockRidge?.name !== undefined) name = text(rockRidge.name);
    else if (this.namespace === 'joliet') name = decodeUcs2(record.name).replace(/;\d+$/, '');
    else name = record.name.toString('latin1').replace(/;\d+$/, '').replace(/\.$/, '');
    if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
      throw new ImageError(
        'UNSAFE_PATH',
        `/${printable(directory.path)} holds an entry named ${JSON.stringify(name)}, which is no file name. The image is damaged or hostile.`,
      );
    }
    return name;
  }
}

/** The first record of the directory at `block`, which describes the directory itself. */
async function readSelf(reader: MetadataReader, volume: IsoVolume, block: number): Promise<DirectoryRecord> {
  const bytes = await reader.read('A directory', block * volume.blockSize, SECTOR);
  const self = decodeRecord(bytes, 0, bytes.length);
  if (self?.directory !== true || !isDot(self)) {
    throw new ImageError(
      'BAD_ISO',
      `Block ${block} should hold a directory and does not. The image is damaged; copy it again.`,
    );
  }
  return self;
}

function common(
  path: string,
  record: DirectoryRecord,
  rockRidge: RockRidge | undefined,
): Pick<IsoNode, 'path' | 'mode' | 'uid' | 'gid' | 'mtime' | 'compressed'> {
  return {
    path,
    mode: rockRidge?.posix?.mode ?? null,
    uid: rockRidge?.posix?.uid ?? null,
    gid: rockRidge?.posix?.gid ?? null,
    mtime: rockRidge?.mtime ?? record.mtime,
    compressed: rockRidge?.compressed ?? false,
  };
}

function isDot(record: DirectoryRecord): boolean {
  return record.name.length === 1 && (record.name[0] === 0 || record.name[0] === 1);
}

function brokenFile(directory: Directory): ImageError {
  return new ImageError(
    'BAD_ISO',
    `/${printable(directory.path)} holds a file whose further extents are missing. The image is damaged; copy it again.`,
  );
}

function join(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`;
}

/** A name's bytes as text: UTF-8 when they are, else one character a byte. */
function text(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}
