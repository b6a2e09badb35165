import { limitsOf, TFTP_LIMITS } from '../../site/limits-config.js';

/** What one TFTP server spends on its clients. */
export interface TftpLimits {
  readonly transfers: number; // at one time; a request above it is dropped, and its client asks again
  readonly transfersPerClient: number; // the same for one address
  readonly memory: number; // bytes of read-ahead of all transfers together; the same happens above it
  readonly blksize: number; // bytes
  readonly windowsize: number; // blocks
  readonly windowBytes: number; // blksize × windowsize; the window shrinks to fit
}

export const DEFAULT_LIMITS: TftpLimits = { ...limitsOf(TFTP_LIMITS), windowBytes: 256 * 1024 };

const LEAST_PIECE = 64 * 1024;

/**
 * How much of a file is read at a time: two windows, at least 64 KiB, and whole blocks, so that nothing is copied
 * twice.
 */
export function pieceSize(blksize: number, windowsize: number): number {
  return Math.ceil(Math.max(LEAST_PIECE, 2 * blksize * windowsize) / blksize) * blksize;
}

/** The memory a transfer is counted with, in bytes: one piece as read and two as packets, or the whole of a small file. */
export function memoryFor(size: number, blksize: number, windowsize: number): number {
  const piece = pieceSize(blksize, windowsize);
  const headers = 1 + 4 / blksize;
  return Math.ceil(Math.min(3 * piece, 2 * size + blksize) * headers);
}
