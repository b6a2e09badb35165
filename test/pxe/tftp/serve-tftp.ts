import { pino } from 'pino';
import { startTftpServer } from '../../../src/pxe/tftp/server.js';
import { MemoryFiles, bytesOf } from './serving.js';

/** A TFTP server on port 69 of the address in its first argument, with a file of so many bytes as its second says. */
process.stdin.resume().on('end', () => process.exit());
const print = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
await startTftpServer({
  host: process.argv[2] ?? '',
  port: 69,
  files: new MemoryFiles({ file: bytesOf(Number(process.argv[3])) }),
  log: pino({ level: 'silent' }),
  onTransfer: (transfer) => print({ transfer }),
});
print({ up: true });
