import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import zlib, { type ZlibOptions } from 'node:zlib';
import { messageOf } from '../errors.js';
import { ChunkReader, join } from '../image/chunks.js';
import type { FilterProgram } from '../image/filter.js';
import { readerOf } from '../image/whole/codecs.js';
import { filterThrough } from '../image/whole/filtering.js';
import type { Digest } from '../store/digest.js';
import { RepoError } from './errors.js';
import { readText, type RepoFiles } from './files.js';
import { gzipPieces, KnownPieces, piecesOf, type Piece } from './gzip-pieces.js';
import { parseRepomd, REPOMD, type MetadataFile, type Repomd } from './repomd.js';

/** The repomd.xml of a tree. Throws RepoError NO_REPOSITORY when there is none, BAD_METADATA. */
export async function readRepomd(files: RepoFiles): Promise<Repomd> {
  const text = await readText(files, REPOMD);
  if (text === undefined) {
    throw new RepoError(
      'NO_REPOSITORY',
      `${files.where}: no ${REPOMD} in it; make one with: rackboot repo build DIR`,
    );
  }
  return parseRepomd(text, `${files.where}/${REPOMD}`);
}

/** The metadata files that list packages, as repomd.xml names their types. */
export const PACKAGE_LISTS = ['primary', 'filelists', 'other'] as const;
export type PackageList = (typeof PACKAGE_LISTS)[number];

/** The entry of a package list. Throws RepoError BAD_METADATA when there is none. */
export function listOf(repomd: Repomd, type: PackageList, where: string): MetadataFile {
  // The installer takes the last of several (xcp-ng host-installer).
  const file = repomd.files.findLast((each) => each.type === type);
  if (file !== undefined) return file;
  throw new RepoError(
    'BAD_METADATA',
    `${where}: ${REPOMD} lists no ${type}; make it again with: rackboot repo build`,
  );
}

/**
 * A metadata file of a tree, decompressed by what its first bytes say. Throws RepoError BAD_METADATA when it is missing, or
 * is not what repomd.xml says of it (at its end); ImageError MISSING_TOOL, TOOL_FAILED.
 */
export async function* openMetadata(files: RepoFiles, file: MetadataFile): AsyncGenerator<Buffer> {
  for await (const { plain } of openPieces(files, file)) yield plain;
}

/** The same in the pieces that it is made of, where it is made of pieces and small. */
export async function* openPieces(files: RepoFiles, file: MetadataFile): AsyncGenerator<Piece> {
  const where = `${files.where}/${file.href}`;
  const source = await files.read(file.href);
  if (source === undefined)
    throw new RepoError('BAD_METADATA', `${where}: listed in ${REPOMD}, but not there`);
  yield* decompress(checked(source, file, where), where);
}

/** What `source` holds, whose size and checksum are checked at its end. */
async function* checked(
  source: AsyncIterable<Buffer>,
  file: MetadataFile,
  where: string,
): AsyncGenerator<Buffer> {
  const hash = hashOf(file.checksum.type);
  let size = 0;
  for await (const chunk of source) {
    hash?.update(chunk);
    size += chunk.length;
    yield chunk;
  }
  if (hash === undefined) {
    throw new RepoError(
      'BAD_METADATA',
      `${where}: its checksum is of type ${file.checksum.type}, which nobody here can compute`,
    );
  }
  if ((file.size !== undefined && file.size !== size) || hash.digest('hex') !== file.checksum.value) {
    throw new RepoError(
      'BAD_METADATA',
      `${where}: not the file that ${REPOMD} means (${file.checksum.type} differs); fetch or build it again`,
    );
  }
}

/** A hash for a checksum type of repository metadata (`sha` is SHA-1), or undefined for an unknown one. */
export function hashOf(type: string): Hash | undefined {
  const known = {
    md5: 'md5',
    sha: 'sha1',
    sha1: 'sha1',
    sha224: 'sha224',
    sha256: 'sha256',
    sha384: 'sha384',
    sha512: 'sha512',
  };
  const name = Object.entries(known).find(([each]) => each === type)?.[1];
  return name === undefined ? undefined : createHash(name);
}

const PROGRAMS: readonly { readonly magic: Buffer; readonly reader: FilterProgram }[] = [
  { magic: Buffer.from('fd377a585a00', 'hex'), reader: readerOf('xz') },
  { magic: Buffer.from('28b52ffd', 'hex'), reader: readerOf('zstd') },
  { magic: Buffer.from('BZh'), reader: { program: 'bzip2', args: ['-dc'], package: 'bzip2' } },
];

/** Whether these first bytes are of a gzip stream: the one compression that every installer reads. */
export function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/** Decompresses gzip, xz, zstd, bzip2 or nothing. Throws RepoError BAD_METADATA for a damaged gzip stream. */
async function* decompress(source: AsyncIterable<Buffer>, where: string): AsyncGenerator<Piece> {
  const reader = new ChunkReader(source);
  try {
    const head = await reader.peek(6);
    const rest = chunksOf(reader);
    const program = PROGRAMS.find(({ magic }) => head.subarray(0, magic.length).equals(magic))?.reader;
    if (isGzip(head)) yield* gunzip(rest, where);
    else
      for await (const plain of program === undefined ? rest : filterThrough(program, rest)) yield { plain };
  } finally {
    await reader.close();
  }
}

async function* chunksOf(reader: ChunkReader): AsyncGenerator<Buffer> {
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) yield chunk;
}

const gunzipWhole = promisify<Buffer, ZlibOptions, Buffer>(zlib.gunzip);
/** Up to this many compressed bytes are decompressed at once, which takes half the time; more as a stream. */
const SMALL = 4 * 1024 * 1024;
const MAX_SMALL = 256 * 1024 * 1024; // bytes that they may give

async function* gunzip(source: AsyncIterable<Buffer>, where: string): AsyncGenerator<Piece> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Buffer[] = [];
  let size = 0;
  let isWhole = false;
  try {
    while (size <= SMALL) {
      const next = await iterator.next();
      isWhole = next.done === true;
      if (next.done === true) break;
      head.push(next.value);
      size += next.value.length;
    }
    if (!isWhole) {
      const rest = { [Symbol.asyncIterator]: () => iterator };
      for await (const plain of gunzipStream(head, rest)) yield { plain };
      return;
    }
    const stream = join(head);
    const pieces = await piecesOf(stream, MAX_SMALL);
    if (pieces !== undefined) yield* pieces;
    else yield { plain: await gunzipWhole(stream, { maxOutputLength: MAX_SMALL, chunkSize: 1 << 20 }) };
  } catch (error) {
    if (error instanceof RepoError) throw error;
    throw new RepoError(
      'BAD_METADATA',
      `${where}: does not decompress (${messageOf(error)}); fetch or build it again`,
      {
        cause: error,
      },
    );
  } finally {
    await iterator.return?.();
  }
}

async function* gunzipStream(head: readonly Buffer[], rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const stream = zlib.createGunzip({ chunkSize: 1 << 20 });
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield* head;
    yield* rest;
  };
  const feeding = pipeline(Readable.from(whole()), stream);
  feeding.catch(() => undefined); // reported below
  try {
    for await (const chunk of stream) yield chunk as Buffer;
    await feeding;
  } finally {
    stream.destroy();
  }
}

/** Where new metadata files go. Gives back the digest and the size of what it was given. */
export type MetadataSink = (
  compressed: AsyncIterable<Buffer>,
) => Promise<{ readonly digest: Digest; readonly size: number }>;

/**
 * `plain` compressed as installers want it, a piece for each chunk, those of `known` as they are, put into `sink`: what
 * repomd.xml says of it, as `repodata/DIGEST-name.gz`.
 */
export async function writeMetadata(
  type: string,
  plain: AsyncIterable<Buffer>,
  sink: MetadataSink,
  timestamp: number,
  { name = `${type}.xml`, known = new KnownPieces() }: { name?: string; known?: KnownPieces } = {},
): Promise<MetadataFile> {
  const hash = createHash('sha256');
  let openSize = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of plain) {
      hash.update(chunk);
      openSize += chunk.length;
      yield chunk;
    }
  };
  const { digest, size } = await sink(gzipPieces(counted(), known));
  return {
    type,
    href: `repodata/${digest}-${name}.gz`,
    checksum: { type: 'sha256', value: digest },
    size,
    openChecksum: { type: 'sha256', value: hash.digest('hex') },
    openSize,
    timestamp,
  };
}
