import { stat } from 'node:fs/promises';
import { readLocalFile } from '../../image/local-file.js';
import { readRemote, remoteFile, type RemoteOptions } from '../remote.js';
import { localFileOf } from '../source/open-source.js';
import { isBundle } from './detect.js';

/** A bundle that is yet to be read. */
export interface BundleSource {
  readonly where: string; // how messages and histories name it
  /** Its bytes; `onBytes` hears how many were read, and how many there are. */
  read(onBytes?: (done: number, total: number) => void): AsyncIterable<Buffer>;
}

/** The bundle that `source` means: a local file that is one, or any file on another machine; else undefined. */
export async function openBundle(
  source: string,
  remote: RemoteOptions = {},
): Promise<BundleSource | undefined> {
  const there = remoteFile(source);
  if (there !== undefined)
    return {
      where: there.where,
      read: async function* (onBytes) {
        let total = 0;
        yield* counted(
          readRemote(there, remote, (size) => (total = size)),
          (done) => onBytes?.(done, total),
        );
      },
    };
  const local = await localFileOf(source);
  if (local === undefined || !(await isBundle(readLocalFile(local)))) return undefined;
  const { size } = await stat(local);
  return {
    where: local,
    read: (onBytes) => counted(readLocalFile(local), (done) => onBytes?.(done, size)),
  };
}

async function* counted(
  bytes: AsyncIterable<Buffer>,
  onBytes: (done: number) => void,
): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const chunk of bytes) {
    onBytes((done += chunk.length));
    yield chunk;
  }
}
