import type { ExecutionContext } from 'ava';
import { output } from '../programs.js';

/** Programs that decompress bzip2 from standard input, of five implementations: libbz2 (thrice), lbzip2, busybox, 7-Zip. */
const DECODERS: readonly (readonly [program: string, ...args: string[]])[] = [
  ['bzip2', '-dc'],
  ['pbzip2', '-dc'],
  ['python3', '-c', 'import bz2, sys; sys.stdout.buffer.write(bz2.decompress(sys.stdin.buffer.read()))'],
  ['lbzip2', '-dc'],
  ['busybox', 'bzip2', '-dc'],
  ['7z', 'x', '-so', '-si', '-tbzip2', '-an', '-bd'],
];

/** Asserts that every decoder makes `plain` of `file`. */
export async function allDecode(t: ExecutionContext, file: Buffer, plain: Buffer): Promise<void> {
  for (const [program, ...args] of DECODERS) {
    const decoded = await output(program, args, file);
    t.true(decoded.equals(plain), `${program} gives ${decoded.length} bytes of ${plain.length}`);
  }
}
