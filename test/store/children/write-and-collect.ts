/**
 * One of several processes on one site: publishes generations of its own osimage, reads everything back, and collects
 * garbage, in a seeded order. Exits 1 with one line when anything it published is not whole.
 */
import { siteAt } from '../../../src/site/site.js';
import { defaultConfig } from '../../../src/site/config.js';
import { sha256, type Digest } from '../../../src/store/digest.js';
import { readRange } from '../../../src/store/extents.js';
import type { Store } from '../../../src/store/records.js';
import { openStore } from '../../../src/store/store.js';
import { noise, putEach, request } from '../temporary-site.js';

const [dir = '', name = '', rounds = '0'] = process.argv.slice(2);
const seed = Number(name.slice(1));
let state = seed * 7919 + 17;

function below(limit: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state >>> 8) % limit;
}

/** Some contents are shared by all processes, so that each finds what another is just making or collecting. */
function contentsOf(round: number): Buffer[] {
  const shared = Array.from({ length: 6 }, () => noise(below(12), 20_000));
  return [...shared, noise(10_000 + seed * 1000 + round, 5_000)];
}

async function readBack(store: Store, blobs: readonly Digest[]): Promise<void> {
  const places = await store.blobs.locate(blobs);
  for (const blob of blobs) {
    const length = places.get(blob)?.size ?? 0;
    const map = { size: length, parts: [{ kind: 'blob', blob, offset: 0, length } as const] };
    const chunks: Buffer[] = [];
    for await (const chunk of readRange(map, store.blobs, 0, length)) chunks.push(chunk);
    if (sha256(Buffer.concat(chunks)) !== blob) throw new Error(`blob ${blob} has changed`);
  }
}

const store = await openStore(siteAt(dir, defaultConfig()), {
  limits: { packBytes: 100_000, packBlobs: 100, streamBytes: 15_000 },
});
for (let round = 0; round < Number(rounds); round++) {
  const contents = contentsOf(round);
  const published = await store.write(name, async (writer) => {
    const blobs = await putEach(writer, contents.slice(0, 3));
    if (below(2) === 0) await writer.seal();
    for (const content of contents.slice(3)) {
      const stream = (async function* (): AsyncGenerator<Buffer> {
        yield content;
      })();
      blobs.push((await writer.putStream(stream)).digest);
    }
    await writer.seal();
    const parent = (await store.osimages.get(name))?.current ?? null;
    const generation = { ...request(blobs, `${name} ${round}`, parent), osimage: name };
    await store.osimages.publish(generation, { create: parent === null });
    return blobs;
  });
  if (below(3) === 0) await store.gc({ dryRun: false, keep: 1 });
  await readBack(store, published);
}
await store.close();
