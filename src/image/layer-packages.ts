import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Digest } from '../store/digest.js';
import type { BlobWriter } from '../store/types.js';
import { ImageError } from './errors.js';
import { readLocalFile } from './local-file.js';

/** An RPM package of a layer: it belongs into the install tree’s repository, not into the image. */
export interface LayerPackage {
  readonly name: string; // of the file
  readonly size: number; // bytes
  readonly blob: Digest;
}

/** Reads a layer’s `packages/` and stores what is in it, in order of the names. Throws ImageError BAD_LAYER. */
export async function readPackages(dir: string, writer: BlobWriter): Promise<LayerPackage[]> {
  const packages: LayerPackage[] = [];
  const entries = (await readdir(dir, { withFileTypes: true })).filter(
    ({ name }) => !name.startsWith('.') && !/^README/i.test(name),
  );
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory() || !/^[^\n\\]+\.rpm$/.test(entry.name)) {
      throw new ImageError(
        'BAD_LAYER',
        `${file}: packages/ may hold .rpm files and README; drivers of Debian go below drivers/, files of the image below overlay/`,
      );
    }
    const { digest, size } = await writer.putStream(readLocalFile(file));
    packages.push({ name: entry.name, size, blob: digest });
  }
  return packages;
}
