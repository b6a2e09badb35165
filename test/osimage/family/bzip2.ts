import { execFileSync } from 'node:child_process';

/** `bytes` as bzip2 compresses them. */
export function bzip2(bytes: Buffer): Buffer {
  return execFileSync('bzip2', ['-c'], { input: bytes, maxBuffer: 64 * 1024 * 1024 });
}
