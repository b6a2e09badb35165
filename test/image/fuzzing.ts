/** Executions of each decoder: a hundred times as many with RACKBOOT_FUZZ_RUNS=1000000. */
export const FUZZ_RUNS = Number(process.env['RACKBOOT_FUZZ_RUNS'] ?? 10_000);

/** What damage is done: other numbers, as RACKBOOT_FUZZ_SEED=2, do other damage, so that many runs can be had in pieces. */
export const FUZZ_SEED = Number(process.env['RACKBOOT_FUZZ_SEED'] ?? 0);

/** Numbers from 0 to 2^32 − 1 that look random, always the same for a seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x30, 0x37, 0x20, 0x2e, 0x2f];

/** `bytes` with one piece of damage. */
function damage(bytes: Buffer, next: () => number): Buffer {
  const below = (limit: number): number => (limit === 0 ? 0 : next() % limit);
  const at = below(bytes.length);
  const length = 1 + below(200);
  const [before, from] = [bytes.subarray(0, at), bytes.subarray(at)];
  const set = (byte: number): Buffer => {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[at] = byte;
    return changed;
  };
  switch (below(8)) {
    case 0:
      return set((bytes[at] ?? 0) ^ (1 << below(8)));
    case 1:
      return set(below(256));
    case 2:
      return set(INTERESTING[below(INTERESTING.length)] ?? 0);
    case 3:
      return Buffer.from(before);
    case 4:
      return Buffer.concat([before, from.subarray(length)]);
    case 5:
      return Buffer.concat([before, from.subarray(0, length), from]);
    case 6:
      return Buffer.concat([before, Buffer.alloc(length, below(256)), from]);
    default: {
      const other = below(bytes.length);
      return Buffer.concat([before, bytes.subarray(other, other + length), from.subarray(length)]);
    }
  }
}

/** One of `samples` with up to four pieces of damage, by the numbers that `next` gives. */
export function damaged(samples: readonly Buffer[], next: () => number): Buffer {
  let bytes = samples[next() % samples.length] ?? Buffer.alloc(0);
  for (let left = 1 + (next() % 4); left > 0; left--) bytes = damage(bytes, next);
  return bytes;
}
