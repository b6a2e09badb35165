import test from 'ava';
import fc from 'fast-check';
import { BlockQueue, readPieces } from '../../../src/pxe/tftp/block-queue.js';
import type { TftpFile } from '../../../src/pxe/tftp/files.js';
import { toNetascii } from '../../../src/pxe/tftp/netascii.js';
import { type TftpMode, decodeTftp } from '../../../src/pxe/tftp/packet.js';

/** A file that gives its bytes `chunk` at a time. */
function fileOf(bytes: Buffer, chunk: number, size = bytes.length): TftpFile {
  return {
    size,
    async *read(start, end) {
      for (let at = start; at < Math.min(end, bytes.length); at += chunk) {
        yield bytes.subarray(at, Math.min(at + chunk, end));
      }
    },
    close: async () => undefined,
  };
}

/** What a client would put together, with every block checked on the way. */
async function collect(file: TftpFile, mode: TftpMode, blksize: number, piece: number): Promise<Buffer> {
  const queue = new BlockQueue(readPieces(file, mode, piece), blksize);
  const parts: Buffer[] = [];
  for (let block = 1; ; block += 1) {
    while (queue.last < block && !queue.ended) await queue.fill();
    const [bytes] = queue.runs(block, block);
    if (bytes === undefined || bytes.length === 0) break;
    const packet = decodeTftp(bytes);
    if (packet.kind !== 'data' || packet.block !== (block & 0xffff))
      throw new Error(`block ${block}: ${packet.kind}`);
    const isLast = queue.ended && block === queue.last;
    if (isLast ? packet.data.length >= blksize : packet.data.length !== blksize)
      throw new Error(`size of block ${block}`);
    parts.push(Buffer.from(packet.data));
    queue.release(block);
  }
  await queue.close();
  return Buffer.concat(parts);
}

test('blocks hold the file, whatever the sizes of blocks, pieces and reads', async (t) => {
  const sizes = fc.integer({ min: 1, max: 300 });
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 2000 }),
      sizes,
      sizes,
      sizes,
      async (array, blksize, piece, chunk) => {
        const bytes = Buffer.from(array);
        t.deepEqual(await collect(fileOf(bytes, chunk), 'octet', blksize, piece), bytes);
        t.deepEqual(await collect(fileOf(bytes, chunk), 'netascii', blksize, piece), toNetascii(bytes));
      },
    ),
  );
});

test('a packet that waits to be sent holds what its header says, even once its memory is another slab’s', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 64 * 40 + 7 }, (_, index) => (index * 7919) >> 4));
  const queue = new BlockQueue(readPieces(fileOf(bytes, 64 * 40), 'octet', 64 * 8), 64);
  const waiting: Buffer[] = [];
  const reused = new Set<number>();
  for (let block = 1; !queue.ended || block <= queue.last; block += 1) {
    while (queue.last < block) await queue.fill();
    waiting.push(...queue.runs(block, block));
    queue.release(block);
    for (const packet of waiting) {
      const decoded = decodeTftp(packet);
      if (decoded.kind !== 'data') return t.fail(decoded.kind);
      const at = (decoded.block - 1) * 64;
      t.deepEqual(Buffer.from(decoded.data), bytes.subarray(at, at + 64));
      if (packet !== waiting[decoded.block - 1]) reused.add(decoded.block);
    }
  }
  t.true(reused.size > 0, 'memory is used again');
});

test('block numbers wrap to 0', async (t) => {
  const bytes = Buffer.alloc(70_000 * 8 + 3, 'x');
  t.deepEqual(await collect(fileOf(bytes, 4096), 'octet', 8, 4096), bytes);
});

test('a file that ends early is an error, not a short file', async (t) => {
  const collecting = collect(fileOf(Buffer.alloc(900), 100, 1000), 'octet', 512, 512);
  t.is((await t.throwsAsync<Error & { code: string }>(collecting))?.code, 'SHORT_FILE');
});

const netascii: readonly [from: string, to: string][] = [
  ['', ''],
  ['a', 'a'],
  ['a\nb\n', 'a\r\nb\r\n'],
  ['a\rb', 'a\r\0b'],
  ['\r\n', '\r\0\r\n'],
];
for (const [from, to] of netascii) {
  test(`${JSON.stringify(from)} in netascii`, (t) => t.is(toNetascii(Buffer.from(from)).toString(), to));
}
