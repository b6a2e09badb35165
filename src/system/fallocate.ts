import { fromLibc } from './libc.js';

/**
 * Asks the file system for room for the first `length` bytes of an open file, which becomes as long; on another thread. Says
 * whether it did: one that cannot, or has no room, changes nothing.
 */
export type Allocate = (file: number, length: number) => Promise<boolean>;

/** fallocate(2) of this machine; undefined where it cannot be called. */
export const fallocate = fromLibc((c): Allocate => {
  const call = c.declare<[number, number, number, number], number>(
    'int fallocate64(int file, int mode, int64_t offset, int64_t length)',
  );
  return (file, length) =>
    new Promise((resolve) => {
      call.async(file, 0, 0, length, (_error: unknown, result: number) => resolve(result === 0));
    });
});
