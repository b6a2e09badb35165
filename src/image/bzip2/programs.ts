import { firstInstalled, type FilterProgram } from '../filter.js';

const BZIP2 = { program: 'bzip2', package: 'bzip2' } as const;
const DECODE = { args: ['-dc'] } as const;

/** Decompresses a segment, or a few blocks. */
export const SMALL_DECODER: FilterProgram = { ...BZIP2, ...DECODE };

/** Compresses a segment into blocks of up to `level` times 100,000 bytes. Always the same program: it decides the bytes. */
export const encoder = (level: number): FilterProgram => ({ ...BZIP2, args: [`-${level}`, '-c'] });

/** Decompresses streams of any length: lbzip2 on all processors where it is installed, else bzip2 on one. */
export function streamDecoder(): Promise<FilterProgram> {
  return firstInstalled({ program: 'lbzip2', package: 'lbzip2', ...DECODE }, SMALL_DECODER);
}
