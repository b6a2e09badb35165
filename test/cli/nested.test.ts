import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { inDirectory, output } from '../image/programs.js';
import { runCommand } from './in-process.js';

const HELLO = 'hello from inside\n';

/** A kernel, an initrd that holds a tar archive, and a squashfs beside them. */
async function makeMedia(dir: string): Promise<string> {
  const [root, media] = [path.join(dir, 'root'), path.join(dir, 'media')];
  await mkdir(path.join(root, 'etc'), { recursive: true });
  await mkdir(path.join(media, 'live'), { recursive: true });
  await writeFile(path.join(root, 'etc/hello'), HELLO);
  await output('mksquashfs', [root, path.join(media, 'live/filesystem.squashfs'), '-quiet', '-no-progress']);
  await writeFile(path.join(root, 'inner.tar.gz'), await output('tar', ['-C', root, '-czf', '-', 'etc']));
  const initrd = await output('sh', ['-c', `cd ${root} && find . | cpio -oH newc --quiet | gzip`]);
  await writeFile(path.join(media, 'initrd.gz'), initrd);
  await writeFile(path.join(media, 'vmlinuz'), 'a kernel');
  return media;
}

test('image files and image cat look into files of the archive and of the install tree', async (t) => {
  await inDirectory(async (dir) => {
    const rackboot = async (...words: string[]): Promise<string> => {
      const { status, out, err } = await runCommand(['--site', path.join(dir, 'site'), ...words]);
      if (status !== 0) throw new Error(err);
      return out;
    };
    await rackboot('init');
    await rackboot('image', 'import', await makeMedia(dir), '--name', 'live');
    t.is(await rackboot('image', 'cat', 'live', '/etc/hello'), HELLO);
    t.is(await rackboot('image', 'cat', 'live', '/inner.tar.gz:etc/hello'), HELLO);
    t.is(await rackboot('image', 'cat', 'live', '/live/filesystem.squashfs:/etc/hello'), HELLO);
    const listed = await rackboot('image', 'files', 'live', 'live/filesystem.squashfs:etc');
    t.regex(listed, /^drwxr-xr-x .* \/etc$/m);
    t.regex(listed, / 18 .* \/etc\/hello$/m);
    const json = JSON.parse(await rackboot('--json', 'image', 'files', 'live', 'inner.tar.gz:')) as unknown[];
    t.is(json.length, 2);
    await t.throwsAsync(rackboot('image', 'cat', 'live', '/inner.tar.gz:etc/none'), {
      message: /live:\/inner\.tar\.gz: \/etc\/none is not in the image/,
    });
  });
});

test('iso ls and iso cat look into files of the image', async (t) => {
  await inDirectory(async (dir) => {
    const iso = path.join(dir, 'x.iso');
    await output('xorriso', ['-as', 'mkisofs', '-quiet', '-R', '-o', iso, await makeMedia(dir)]);
    const cat = await runCommand(['iso', 'cat', iso, 'initrd.gz:inner.tar.gz:etc/hello']);
    t.deepEqual(cat, { status: 0, out: HELLO, err: '' });
    const ls = await runCommand(['iso', 'ls', iso, '/live/filesystem.squashfs:']);
    t.is(ls.status, 0, ls.err);
    t.regex(ls.out, / \/etc\/hello$/m);
    const none = await runCommand(['iso', 'cat', iso, 'vmlinuz:etc/hello']);
    t.is(none.status, 1);
    t.regex(none.err, /vmlinuz: nothing to look into/);
  });
});
