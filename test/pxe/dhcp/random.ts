/** A reproducible source of numbers in [0, 1) (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** `bytes` with a few of them changed, cut off, added, doubled or exchanged. */
export function mutate(bytes: Buffer, random: () => number): Buffer {
  let result = Buffer.from(bytes);
  const at = (): number => Math.floor(random() * (result.length + 1));
  for (let count = 1 + Math.floor(random() * 4); count > 0; count -= 1) {
    const place = at();
    switch (Math.floor(random() * 6)) {
      case 0:
        if (place < result.length) result.writeUInt8(Math.floor(random() * 256), place);
        break;
      case 1:
        if (place < result.length)
          result.writeUInt8([0, 1, 127, 128, 255][Math.floor(random() * 5)] ?? 0, place);
        break;
      case 2:
        result = Buffer.from(result.subarray(0, place));
        break;
      case 3:
        result = Buffer.concat([
          result.subarray(0, place),
          Buffer.alloc(Math.floor(random() * 40), Math.floor(random() * 256)),
          result.subarray(place),
        ]);
        break;
      case 4:
        result = Buffer.concat([result, result.subarray(place)]).subarray(0, 1472);
        break;
      default:
        if (place < result.length)
          result.writeUInt8(result.readUInt8(place) ^ (1 << Math.floor(random() * 8)), place);
    }
  }
  return result;
}
