import { fromLibc } from './libc.js';

/**
 * Has the kernel begin to write bytes [offset, offset+length) of an open file to its disk, without waiting until they are
 * there; on another thread, as it waits where the disk has much to do. No promise of durability, and no errors: fsync
 * gives both.
 */
export type BeginWriting = (file: number, offset: number, length: number) => Promise<void>;

const SYNC_FILE_RANGE_WRITE = 2;

/** sync_file_range(2) of this machine, for writing; undefined where it cannot be called. */
export const beginWriting = fromLibc((c): BeginWriting => {
  const call = c.declare<[number, number, number, number], number>(
    'int sync_file_range(int file, int64_t offset, int64_t length, unsigned int flags)',
  );
  return (file, offset, length) =>
    new Promise((resolve) => {
      call.async(file, offset, length, SYNC_FILE_RANGE_WRITE, () => resolve());
    });
});
