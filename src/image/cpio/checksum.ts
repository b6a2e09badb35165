/** `sum` with the bytes of `chunk` added, modulo 2^32: `c_check` of a 070702 header (cpio(5), "New CRC Format"). */
export function addToSum(sum: number, chunk: Buffer): number {
  let part = 0;
  for (let at = 0; at < chunk.length; at++) part += chunk[at] ?? 0;
  return (sum + part) % 2 ** 32;
}

/** The sum of all bytes of `data`. */
export async function sumOf(data: AsyncIterable<Buffer>): Promise<number> {
  let sum = 0;
  for await (const chunk of data) sum = addToSum(sum, chunk);
  return sum;
}
