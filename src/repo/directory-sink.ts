import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../store/digest.js';
import type { MetadataSink } from './metadata.js';
import type { MetadataFile } from './repomd.js';

/** Puts metadata files into a directory, named by their digests until `placeFiles` knows better. */
export function directorySink(work: string): MetadataSink {
  let count = 0;
  return async (compressed) => {
    const file = path.join(work, `part-${String(count++)}`);
    const hash = createHash('sha256');
    let size = 0;
    await pipeline(
      compressed,
      async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          hash.update(chunk);
          size += chunk.length;
          yield chunk;
        }
      },
      createWriteStream(file, { flush: true }),
    );
    const digest = hash.digest('hex') as Digest;
    await rename(file, path.join(work, digest));
    return { digest, size };
  };
}

/** Gives the files that `directorySink` put into `work` their places in a repository there. */
export async function placeFiles(work: string, files: readonly MetadataFile[]): Promise<void> {
  await mkdir(path.join(work, 'repodata'), { recursive: true });
  for (const { checksum, href } of files)
    await rename(path.join(work, checksum.value), path.join(work, href));
}
