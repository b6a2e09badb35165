import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../errors.js';
import { decodeDescriptor, type ArchiveDescriptor } from '../image/archive.js';
import { ImageError } from '../image/errors.js';
import { unreadable } from '../image/local-file.js';
import { tailsOf } from '../image/parts.js';
import { decodeRecord, type UnpackRecord } from '../image/unpacked/record.js';
import { readBlob } from '../store/extents.js';
import type { Store } from '../store/records.js';
import { archiveDigest } from './contents.js';
import { OsimageError } from './errors.js';
import { isOfStateless, ROOT_TREE } from './family/xcat.js';
import type { GenerationManifest } from './types.js';

/** Which archive of a generation is meant. */
export interface ArchiveChoice {
  readonly archive?: string; // by default that of the default boot entry
  readonly part?: number; // may be left out where there is one
}

/** The file beside an unpacked directory that keeps what the directory cannot. */
export function recordFileOf(directory: string): string {
  return `${path.resolve(directory)}.mtree`;
}

/**
 * Throws ImageError UNREADABLE unless `directory` is one, OsimageError BAD_SOURCE for an empty one, and for one that has
 * the root file system of a stateless image in it, and is not that: no node could boot what it makes.
 */
export async function requireDirectory(directory: string): Promise<void> {
  const info = await stat(directory).catch((error: unknown) => {
    const what =
      codeOf(error) === 'ENOENT' ? 'there is no such directory' : `cannot be read (${codeOf(error) ?? ''})`;
    throw new ImageError(
      'UNREADABLE',
      `${directory}: ${what}; name the one that rackboot image unpack wrote, or another root directory`,
    );
  });
  if (info.isDirectory()) return requireRoot(directory);
  throw new ImageError(
    'UNREADABLE',
    `${directory}: not a directory; unpack an archive first, or import it as it is`,
  );
}

async function requireRoot(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(directory, error);
  });
  if (entries.length === 0) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${directory}: is empty, and no node could boot an empty image; name a root file system`,
    );
  }
  const hasTree = entries.some((entry) => entry.name === ROOT_TREE && entry.isDirectory());
  if (hasTree && isOfStateless(entries.map(({ name }) => name))) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${directory}: is no root file system, it has one in it; pack that: ${path.join(directory, ROOT_TREE)}`,
    );
  }
}

/** The record in `file`; undefined where there is none. Throws ImageError UNREADABLE, BAD_LAYER. */
export async function readRecord(file: string): Promise<UnpackRecord | undefined> {
  const text = await readFile(file, 'latin1').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new ImageError(
      'UNREADABLE',
      `${file}: cannot be read (${codeOf(error) ?? 'unknown error'}); give this user the right to`,
    );
  });
  return text === undefined ? undefined : decodeRecord(text, file);
}

/** The descriptor of an archive of a generation. Throws OsimageError BAD_SOURCE. */
export async function descriptorOf(
  store: Store,
  manifest: GenerationManifest,
  archive: string,
): Promise<ArchiveDescriptor> {
  return decodeDescriptor(await readBlob(store.blobs, archiveDigest(manifest, archive)));
}

/** The part that `part` means, or the only one. Throws ImageError NO_SUCH_PART. */
export function choosePart(descriptor: ArchiveDescriptor, archive: string, part: number | undefined): number {
  const { length } = tailsOf(descriptor);
  if (part !== undefined && part <= length) return part;
  if (part === undefined && length === 1) return 1;
  throw new ImageError(
    'NO_SUCH_PART',
    `${archive} is made of ${length} archives; say which with --part 1 to --part ${length}, list them with: rackboot image parts`,
  );
}
