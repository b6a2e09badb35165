import { createHash } from 'node:crypto';
import { coalesce, partsOf, readRange, type BlobReader, type ExtentMap } from '../../store/extents.js';
import { FIRST_DESCRIPTOR, SECTOR } from './volume.js';

/** The application use area of the primary volume descriptor (ECMA-119 §8.4.31), in bytes of the image. */
const AREA = { offset: FIRST_DESCRIPTOR * SECTOR + 883, length: 512 };
/** Sectors at the end that are not summed: drives add some of their own there. */
const SKIPPED = 15;
/** The sum so far is noted this many times on the way, whenever a step of so many bytes has gone into the next fragment. */
const FRAGMENTS = 20;
const STEP = 32 * 1024;
const DIGITS = 3; // of each of those sums

/**
 * The image `map` with the MD5 sums in it that Anaconda's media check compares: over all but the last 15 sectors, as if
 * the area that holds them were blank. The form is that of implantisomd5 1.2 (package isomd5sum). Reads the image once.
 */
export async function withMediaCheck(map: ExtentMap, blobs: BlobReader): Promise<ExtentMap> {
  const end = map.size - SKIPPED * SECTOR;
  const blank = withArea(map, '');
  const fragmentSize = Math.floor(end / (FRAGMENTS + 1));
  const hash = createHash('md5');
  const sums: string[] = [];
  let fragment = 0;
  let stepStart = 0;
  let at = 0;
  const endStep = (): void => {
    const reached = Math.floor(stepStart / fragmentSize);
    if (reached !== fragment && sums.length < FRAGMENTS) {
      fragment = reached;
      sums.push(firstDigits(hash.copy().digest()));
    }
    stepStart = at;
  };
  for await (const chunk of readRange(blank, blobs, 0, end)) {
    for (let from = 0; from < chunk.length;) {
      const length = Math.min(chunk.length - from, stepStart + STEP - at);
      hash.update(chunk.subarray(from, from + length));
      from += length;
      at += length;
      if (at === stepStart + STEP) endStep();
    }
  }
  if (at > stepStart) endStep();
  return withArea(
    map,
    [
      `ISO MD5SUM = ${hash.digest('hex')}`,
      `SKIPSECTORS = ${SKIPPED}`,
      'RHLISOSTATUS=0',
      `FRAGMENT SUMS = ${sums.join('')}`,
      `FRAGMENT COUNT = ${FRAGMENTS}`,
      'THIS IS NOT THE SAME AS RUNNING MD5SUM ON THIS ISO!!',
    ].join(';'),
  );
}

/** The first digit of each of the first bytes, without leading zeros: `07` counts as `7`. */
function firstDigits(digest: Buffer): string {
  return [...digest.subarray(0, DIGITS)].map((byte) => byte.toString(16).slice(0, 1)).join('');
}

/** `map` with `text` in the application use area, blanks after it. */
function withArea(map: ExtentMap, text: string): ExtentMap {
  const bytes = Buffer.alloc(AREA.length, ' ');
  bytes.write(text, 'latin1');
  return coalesce([
    ...partsOf(map, 0, AREA.offset),
    { kind: 'inline', bytes },
    ...partsOf(map, AREA.offset + AREA.length, map.size),
  ]);
}
