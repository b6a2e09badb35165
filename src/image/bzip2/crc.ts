/** The sum that ends a bzip2 stream of blocks with these CRCs; with `from`, of blocks that follow others with that sum. */
export function combineBlocks(crcs: Iterable<number>, from = 0): number {
  let sum = from;
  for (const crc of crcs) sum = ((sum << 1) | (sum >>> 31)) ^ crc;
  return sum >>> 0;
}
