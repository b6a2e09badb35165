import path from 'node:path';
import test from 'ava';
import { readDrivers } from '../../../src/image/drivers/read-drivers.js';
import { ImageError } from '../../../src/image/errors.js';
import { MemoryBlobs } from '../memory-blobs.js';
import { inDirectory } from '../programs.js';
import { layOut } from './fixtures.js';

for (const [file, program, debian] of [
  ['a.rpm', 'bsdtar', 'libarchive-tools'],
  ['a.ko.xz', 'xz', 'xz-utils'],
  ['a.ko.zst', 'zstd', 'zstd'],
] as const) {
  test.serial(`without ${program}, drivers/${file} is refused with the package to install`, async (t) => {
    await inDirectory(async (dir) => {
      await layOut(dir, { [file]: 'x', 'empty/README': '' });
      const found = process.env['PATH'];
      process.env['PATH'] = path.join(dir, 'empty');
      try {
        const error = await t.throwsAsync(
          readDrivers(dir, new MemoryBlobs(), () => undefined),
          {
            instanceOf: ImageError,
            code: 'MISSING_TOOL',
          },
        );
        t.true(error.message.startsWith(`${program} is missing`), error.message);
        t.true(error.message.endsWith(`apt-get install ${debian}`), error.message);
      } finally {
        process.env['PATH'] = found;
      }
    });
  });
}
