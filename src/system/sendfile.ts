import { fromLibc } from './libc.js';

/**
 * Hands up to `count` bytes of the file `from`, at `offset`, to the socket `to`: sendfile(2), where no byte passes
 * through this process. How many went, fewer where the socket has no room for more, 0 at the end of the file; or minus
 * `errno`, -EAGAIN where a socket that does not block has no room at all. Waits for the disk where the file's pages are
 * not in memory.
 */
export type Sendfile = (to: number, from: number, offset: number, count: number) => number;

/** sendfile(2) of this machine; undefined where it cannot be called. */
export const sendfile = fromLibc((c): Sendfile => {
  const call = c.declare<[number, number, [number], number], number>(
    'int64_t sendfile64(int to, int from, _Inout_ int64_t *offset, size_t count)',
  );
  return (to, from, offset, count) => {
    const sent = call(to, from, [offset], count);
    return sent < 0 ? -c.errno() : sent;
  };
});
