import { createHash } from 'node:crypto';
import { mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';
import type { Digest } from '../store/digest.js';
import type { MetadataSink } from './metadata.js';
import type { MetadataFile } from './repomd.js';

const WRITE = 1 << 20; // bytes at one time

/** Puts metadata files into a directory, named by their digests until `placeFiles` knows better. */
export function directorySink(work: string): MetadataSink {
  let count = 0;
  return async (compressed) => {
    const file = path.join(work, `part-${String(count++)}`);
    const hash = createHash('sha256');
    let size = 0;
    const handle = await open(file, 'w');
    try {
      let pending: Buffer[] = [];
      let held = 0;
      for await (const chunk of compressed) {
        hash.update(chunk);
        size += chunk.length;
        held += chunk.length;
        pending.push(chunk);
        if (held < WRITE) continue;
        await handle.writeFile(Buffer.concat(pending));
        [pending, held] = [[], 0];
      }
      await handle.writeFile(Buffer.concat(pending));
      await handle.sync();
    } finally {
      await handle.close();
    }
    const digest = hash.digest('hex') as Digest;
    await rename(file, path.join(work, digest));
    return { digest, size };
  };
}

/** Gives the files that `directorySink` put into `work` their places in a repository there. */
export async function placeFiles(work: string, files: readonly MetadataFile[]): Promise<void> {
  await mkdir(path.join(work, 'repodata'), { recursive: true });
  await Promise.all(
    files.map(({ checksum, href }) => rename(path.join(work, checksum.value), path.join(work, href))),
  );
}
