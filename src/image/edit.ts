import type { Digest } from '../store/digest.js';
import { readRange } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import type { ArchivePath } from './cpio/path.js';

/** Bytes to put into an archive: their number, and a way to read them, from the start each time. */
export interface Content {
  readonly size: number;
  read(): AsyncIterable<Buffer>;
}

/** Content that is in memory already. */
export function contentOf(bytes: Buffer): Content {
  return {
    size: bytes.length,
    async *read() {
      if (bytes.length > 0) yield bytes;
    },
  };
}

/** The bytes of a stored blob as content of an archive's entry. */
export function blobContent(blob: Digest, size: number, blobs: BlobReader): Content {
  const map = { size, parts: [{ kind: 'blob', blob, offset: 0, length: size }] } as const;
  return { size, read: () => readRange(map, blobs, 0, size) };
}

/** Extended attributes by name (`user.origin`); values are bytes, as latin-1. */
export type ExtendedAttributes = Readonly<Record<string, string>>;

/** A change to an archive, as layers and ad-hoc commands express it. Paths go through the archive's symbolic links. */
export type Edit =
  | {
      readonly op: 'put'; // a file, link, directory or device; in place of what stands there
      readonly path: ArchivePath;
      readonly mode: number; // st_mode, type bits included
      readonly uid: number;
      readonly gid: number;
      readonly rdev?: { readonly major: number; readonly minor: number };
      readonly content: Content; // a symbolic link's content is its target; a directory's is empty
      readonly target?: string; // of a symbolic link, latin-1
      readonly mtime?: number; // seconds; by default that of all new entries
      readonly from: string; // where it comes from, for error messages
    }
  | {
      readonly op: 'link'; // another name for a file, in place of what stands there
      readonly path: ArchivePath;
      readonly to: ArchivePath; // links on the way are followed, not one that it names
      readonly from: string;
    }
  | {
      readonly op: 'delete'; // an entry, and everything below a directory
      readonly path: ArchivePath;
      readonly required: boolean; // whether it is an error when nothing stands there
      readonly from: string;
    }
  | {
      readonly op: 'chmod';
      readonly path: ArchivePath;
      readonly mode: number /* permission bits */;
      readonly from: string;
    }
  | {
      readonly op: 'set'; // what is given of what stands there; a link is followed only where a directory must stand
      readonly path: ArchivePath;
      readonly type?: number; // st_mode's type bits of what must stand there
      readonly mode?: number; // permission bits
      readonly uid?: number;
      readonly gid?: number;
      readonly mtime?: number; // seconds
      readonly from: string;
    }
  | {
      readonly op: 'attributes'; // extended attributes beside those that a file has; only tar archives hold any
      readonly path: ArchivePath;
      readonly values: ExtendedAttributes;
      readonly from: string;
    }
  | {
      readonly op: 'thin'; // drops what `keeps` refuses; a directory stays as long as something in it does
      readonly keeps: (path: ArchivePath) => boolean;
      readonly from: string;
    };
