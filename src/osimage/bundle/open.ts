import { readLocalFile } from '../../image/local-file.js';
import { readRemote, remoteFile, type RemoteOptions } from '../remote.js';
import { localFileOf } from '../source/open-source.js';
import { isBundle } from './detect.js';

/** A bundle that is yet to be read. */
export interface BundleSource {
  readonly where: string; // how messages and histories name it
  read(): AsyncIterable<Buffer>;
}

/** The bundle that `source` means: a local file that is one, or any file on another machine; else undefined. */
export async function openBundle(
  source: string,
  remote: RemoteOptions = {},
): Promise<BundleSource | undefined> {
  const there = remoteFile(source);
  if (there !== undefined) return { where: there.where, read: () => readRemote(there, remote) };
  const local = await localFileOf(source);
  if (local === undefined || !(await isBundle(readLocalFile(local)))) return undefined;
  return { where: local, read: () => readLocalFile(local) };
}
