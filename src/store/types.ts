import type { Digest } from './digest.js';
import type { FileRun } from './file-run.js';

/** Where a blob's bytes lie on disk: `size` bytes from `offset` in the pack file at `path`. */
export interface BlobPlace {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/**
 * Whose the buffers of a reading are: `given` ones are the reader's to keep, a `lent` one is written over once the next
 * is asked for, or the reading ends.
 */
export type Ownership = 'given' | 'lent';

/** Some bytes of an artifact: in memory, or where they lie in an open file. Both are lent. */
export type Piece = Buffer | FileRun;

/** Read access to blobs. Safe to share between any number of readers. */
export interface BlobReader {
  /** The places of `blobs`, in one query. Throws StoreError MISSING_BLOB when one is not in the store. */
  locate(blobs: Iterable<Digest>): Promise<ReadonlyMap<Digest, BlobPlace>>;
  /**
   * Bytes [offset, offset+length) of the file at `path`, in buffers of at most 1 MiB, `given` unless told otherwise.
   * Throws StoreError when it ends early.
   */
  readFile(path: string, offset: number, length: number, ownership?: Ownership): AsyncIterable<Buffer>;
  /** The same bytes as one run of the open file, where blobs lie in files that can be lent. Throws as `readFile`. */
  lendFile?(path: string, offset: number, length: number): AsyncIterable<FileRun>;
}

/** A place to put blobs. What is put is durable and visible to others only once `seal` returns. */
export interface BlobWriter {
  /** Stores `bytes` (nothing is written when the blob is there already) and gives back their name. */
  put(bytes: Buffer): Promise<Digest>;
  /** Stores a stream of any length in constant memory; gives back its name and its size in bytes. */
  putStream(source: AsyncIterable<Buffer>): Promise<{ readonly digest: Digest; readonly size: number }>;
  /** Makes everything put so far durable (fsync, rename, index); more may be put afterwards. */
  seal(): Promise<void>;
}
