import { codeOf, messageOf, RackbootError } from '../errors.js';

export type StoreErrorCode =
  | 'BAD_MAP' // an encoded extent map that is not one, or parts that do not fit their blob
  | 'MISSING_BLOB' // a digest the store does not hold
  | 'PACK_GONE' // a pack that was rewritten or removed since its blobs were located: locate again
  | 'PACK_DAMAGED' // a pack that is shorter than its index says, or whose index cannot be read
  | 'STORE_MISMATCH' // the store directory and the database do not belong together
  | 'LEASE_LOST' // this write was taken for dead; nothing of it became visible
  | 'DISK_FULL'
  | 'READ_ONLY'
  | 'IO' // the file system failed in any other way
  | 'CLOSED' // the store was used after close()
  | 'DATABASE_BUSY'
  | 'DATABASE_DAMAGED'
  | 'DATABASE_NEWER' // written by a newer rackboot
  | 'DATABASE_UNREACHABLE'
  | 'DATABASE' // the database refused a statement
  | 'OSIMAGE_EXISTS'
  | 'OSIMAGE_IN_USE'
  | 'NO_SUCH_OSIMAGE'
  | 'NO_SUCH_GENERATION'
  | 'GENERATION_IN_USE'
  | 'STALE_PARENT'
  | 'NO_SUCH_NODE'
  | 'NODE_CONFLICT';

/** What goes wrong with blobs, packs and the database. */
export class StoreError extends RackbootError<StoreErrorCode> {
  override readonly name = 'StoreError';
}

/** A failed file operation at `path` as a StoreError; a StoreError stays what it is. */
export function fileError(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new StoreError(
        'DISK_FULL',
        `${path}: no space left; free some on that disk, or run: rackboot gc`,
        { cause: error },
      );
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new StoreError(
        'READ_ONLY',
        `${path} is read-only: make it writable for this user, or use a copy of the site.`,
        {
          cause: error,
        },
      );
    case 'ENOTDIR':
    case 'EEXIST':
      return new StoreError(
        'IO',
        `${path}: a file is where a directory belongs; put the site back from a backup.`,
        {
          cause: error,
        },
      );
    default:
      return new StoreError('IO', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
