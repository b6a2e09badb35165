import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

/** The C library of this process, and what a call that failed left behind. */
export interface Libc {
  readonly koffi: typeof Koffi;
  /** The function of a C prototype, as `int fdatasync(int)`. Throws Error for one that the C library does not have. */
  declare<Args extends unknown[], Result>(prototype: string): Koffi.KoffiFunc<(...args: Args) => Result>;
  /** `errno` of the last call on this thread. */
  errno(): number;
}

let loaded: Libc | undefined;
let hasFailed = false;

/**
 * The C library, for the system calls that Node does not have; loaded at the first use. Undefined where it cannot be
 * called (not Linux, or a processor that koffi has no build for): callers do without then.
 */
function libc(): Libc | undefined {
  if (loaded !== undefined || hasFailed) return loaded;
  try {
    if (process.platform !== 'linux') throw new Error('not Linux');
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    const library = koffi.load(null);
    loaded = {
      koffi,
      declare: (prototype) => library.func(prototype) as Koffi.KoffiFunc<never>,
      errno: () => koffi.errno(),
    };
  } catch {
    hasFailed = true;
  }
  return loaded;
}

/**
 * What `make` makes of the C library, at the first use. Undefined where it cannot be called, or lacks a function that is
 * declared: callers do without then.
 */
export function fromLibc<T>(make: (c: Libc) => T): () => T | undefined {
  let made: { readonly value: T | undefined } | undefined;
  const attempt = (): T | undefined => {
    const library = libc();
    try {
      return library && make(library);
    } catch {
      return undefined;
    }
  };
  return () => (made ??= { value: attempt() }).value;
}
