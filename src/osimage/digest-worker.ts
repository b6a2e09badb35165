// The thread of digest-ahead.ts. It imports nothing but Node's own modules, and runs as the file that tsc wrote.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';

/** A run of bytes to hash: a part of a file, or a literal. */
export type Piece =
  | { readonly path: string; readonly offset: number; readonly length: number }
  | { readonly bytes: Uint8Array };

/** What became of the bytes: the first `kept` pieces stayed, `rest` follows them. */
export interface Outcome {
  readonly kept: number;
  readonly rest: readonly Piece[];
}

const buffer = Buffer.allocUnsafe(1 << 20);
const files = new Map<string, number>();

function update(hash: Hash, piece: Piece): void {
  if ('bytes' in piece) {
    hash.update(piece.bytes);
    return;
  }
  const { path, offset, length } = piece;
  let file = files.get(path);
  if (file === undefined) files.set(path, (file = openSync(path, 'r')));
  for (let done = 0; done < length;) {
    const read = readSync(file, buffer, 0, Math.min(buffer.length, length - done), offset + done);
    if (read === 0) throw new Error(`${path} ends early`);
    hash.update(buffer.subarray(0, read));
    done += read;
  }
}

const port = parentPort;
if (port !== null) {
  const pieces = workerData as readonly Piece[];
  const hash = createHash('sha256');
  const before: Hash[] = []; // by piece: the hash of all bytes before it
  let outcome: Outcome | undefined;
  const finish = ({ kept, rest }: Outcome): void => {
    const from = before[kept]?.copy() ?? hash;
    for (const piece of rest) update(from, piece);
    for (const file of files.values()) closeSync(file);
    port.postMessage(from.digest('hex'));
  };
  for (const piece of pieces) {
    outcome ??= (receiveMessageOnPort(port) as { readonly message: Outcome } | undefined)?.message;
    if (outcome !== undefined && before.length >= outcome.kept) break;
    before.push(hash.copy());
    update(hash, piece);
  }
  if (outcome !== undefined) finish(outcome);
  else port.once('message', finish);
}
