// Lists a newc archive as `cpio -t` does, with the product's own reader, out of memory: node scan.js ARCHIVE. Its first
// line is the seconds it took.
import { createReadStream } from 'node:fs';
import { CpioScanner } from '../../../src/image/cpio/scanner.js';

const chunks: Buffer[] = [];
for await (const chunk of createReadStream(process.argv[2]!, {
  highWaterMark: 1 << 20,
}) as AsyncIterable<Buffer>)
  chunks.push(chunk);

const started = process.hrtime.bigint();
const names: string[] = [];
const scanner = new CpioScanner(0, {
  onEntry: ({ rawName }) => void names.push(rawName),
  onTrailer: () => undefined,
});
for (const chunk of chunks) if (scanner.push(chunk) < chunk.length) break;
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
process.stdout.write(Buffer.from(`${seconds}\n${names.join('\n')}\n`, 'latin1'));
