// Lists a newc archive as `cpio -t` does, with the product's own reader: node scan.js ARCHIVE.
import { createReadStream } from 'node:fs';
import { CpioScanner } from '../../../src/image/cpio/scanner.js';

const names: string[] = [];
const scanner = new CpioScanner(0, {
  onEntry: ({ rawName }) => void names.push(rawName),
  onTrailer: () => undefined,
});
for await (const chunk of createReadStream(process.argv[2]!, {
  highWaterMark: 1 << 20,
}) as AsyncIterable<Buffer>)
  if (scanner.push(chunk) < chunk.length) break;
process.stdout.write(Buffer.from(`${names.join('\n')}\n`, 'latin1'));
