import { fromLibc } from './libc.js';

/** Sets the option `name` of `level` of a socket, by its descriptor, to an int; returns 0, or minus `errno`. */
export type SetSocketOption = (descriptor: number, level: number, name: number, value: number) => number;

/** setsockopt(2) of this machine; undefined where it cannot be called. */
export const setSocketOption = fromLibc((c): SetSocketOption => {
  const call = c.declare<[number, number, number, Int32Array<ArrayBuffer>, number], number>(
    'int setsockopt(int descriptor, int level, int name, const int32_t *value, uint32_t size)',
  );
  const int = new Int32Array(1);
  return (descriptor, level, name, value) => {
    int[0] = value;
    return call(descriptor, level, name, int, int.byteLength) < 0 ? -c.errno() : 0;
  };
});
