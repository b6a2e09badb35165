import test from 'ava';
import fc from 'fast-check';
import { BlobTally } from '../../src/store/blob-tally.js';
import { sha256 } from '../../src/store/digest.js';

test('what was marked lives, what was not is dead, each with its pack', (t) => {
  const anyBlobs = fc.uniqueArray(
    fc.record({ name: fc.nat(), pack: fc.integer({ min: 1, max: 5 }), size: fc.nat(), live: fc.boolean() }),
    { selector: ({ name }) => name, maxLength: 3000 },
  );
  fc.assert(
    fc.property(anyBlobs, (any) => {
      const blobs = any
        .map((blob) => ({ ...blob, digest: sha256(`${blob.name}`) }))
        .sort((x, y) => (x.digest < y.digest ? -1 : 1));
      const tally = new BlobTally();
      for (const { digest, pack, size } of blobs) tally.add(Buffer.from(digest, 'hex'), pack, size);
      for (const { digest, live } of blobs) if (live) tally.markLive(Buffer.from(digest, 'hex'));
      tally.markLive(Buffer.from(sha256('never added'), 'hex'));
      t.deepEqual(
        [...tally.dead()].map((digest) => digest.toString('hex')),
        blobs.filter(({ live }) => !live).map(({ digest }) => digest),
      );
      for (const [pack, sums] of tally.packs()) {
        const own = blobs.filter((blob) => blob.pack === pack);
        const live = own.filter((blob) => blob.live);
        const bytes = (some: typeof own): number => some.reduce((sum, blob) => sum + blob.size, 0);
        t.deepEqual(sums, {
          liveBlobs: live.length,
          liveBytes: bytes(live),
          deadBlobs: own.length - live.length,
          deadBytes: bytes(own) - bytes(live),
        });
      }
      t.is(tally.packs().size, new Set(blobs.map(({ pack }) => pack)).size);
    }),
    { numRuns: 40, examples: [[[]]] },
  );
});
