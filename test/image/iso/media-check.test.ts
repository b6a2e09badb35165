import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { withMediaCheck } from '../../../src/image/iso/media-check.js';
import { counterpart, tempDir } from './counterparts.js';
import { MappedBlobs } from './mapped-blobs.js';

for (const size of [700_000, 5_000_001, 21 * 32 * 1024 * 10]) {
  test(`an image of ${size} bytes gets what implantisomd5 puts into it`, async (t) => {
    const dir = await tempDir(t);
    const blobs = new MappedBlobs();
    const noise = createHash('shake256', { outputLength: size }).update('noise').digest();
    const file = join(dir, 'noise');
    await blobs.writeFile(await blobs.map(noise), file);
    const iso = join(dir, 'theirs.iso');
    await counterpart(
      'xorriso',
      '-as',
      'mkisofs',
      '-quiet',
      '-R',
      '-o',
      iso,
      '-graft-points',
      `noise=${file}`,
    );
    const plain = await readFile(iso);
    const ours = await withMediaCheck(await blobs.map(plain), blobs);
    await counterpart('implantisomd5', '--force', iso);
    t.true(blobs.read(ours, 0, ours.size).equals(await readFile(iso)));
    const written = join(dir, 'ours.iso');
    await blobs.writeFile(ours, written);
    await t.notThrowsAsync(counterpart('checkisomd5', written));
  });
}
