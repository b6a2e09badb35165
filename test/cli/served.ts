import { collect } from '../../src/image/chunks.js';
import { findGeneration } from '../../src/osimage/find.js';
import { artifactMap, manifestOf } from '../../src/osimage/manifest.js';
import { openSite } from '../../src/site/site.js';
import { readRange } from '../../src/store/extents.js';
import { openStore } from '../../src/store/store.js';

/** The file that a node downloads as the archive of `osimage`. */
export async function served(dir: string, osimage: string, file: string): Promise<Buffer> {
  const store = await openStore(await openSite(dir));
  try {
    const manifest = manifestOf(await findGeneration(store, osimage));
    const map = await artifactMap(
      store.blobs,
      manifest.files.find(({ path }) => path === file)!,
    );
    return await collect(readRange(map, store.blobs, 0, map.size));
  } finally {
    await store.close();
  }
}
