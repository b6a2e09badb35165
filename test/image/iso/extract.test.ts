import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ImageError } from '../../../src/image/errors.js';
import { extractIso } from '../../../src/image/iso/extract.js';
import type { IsoImage } from '../../../src/image/iso/reader.js';
import { bufferSource } from '../../../src/image/iso/source.js';
import type { IsoNode } from '../../../src/image/iso/tree.js';
import { counterpart, differences, makeTree, openImageFile, readTree, tempDir } from './counterparts.js';

test('extracts names, bytes, links, modes and times', async (t) => {
  const dir = await tempDir(t);
  const tree = join(dir, 'tree');
  await makeTree(tree, {
    'dir/file': 'file',
    'dir/run': { mode: 0o755, bytes: Buffer.from('run') },
    'dir/setuid': { mode: 0o4755, bytes: Buffer.from('setuid') },
    'dir/closed/secret': { mode: 0o400, bytes: Buffer.from('secret') },
    link: { link: 'dir/file' },
    outside: { link: '/etc' },
    large: Buffer.alloc(3 * 1024 * 1024 + 17, 'large'),
  });
  await chmod(join(tree, 'dir/closed'), 0o500);
  await counterpart('mkfifo', join(tree, 'dir/pipe'));
  const path = join(dir, 'image.iso');
  await counterpart('xorriso', '-as', 'mkisofs', '-quiet', '-R', '-o', path, tree);
  const out = join(dir, 'new/out');
  const result = await extractIso(await openImageFile(t, path), out);
  t.deepEqual(result.skipped, [{ path: 'dir/pipe', reason: 'is a fifo' }]);
  t.deepEqual([result.files, result.directories, result.symlinks], [5, 2, 2]);
  t.is(result.bytes, 4 + 3 + 6 + 6 + 3 * 1024 * 1024 + 17);
  await counterpart('rm', join(tree, 'dir/pipe'));
  t.deepEqual(differences(await readTree(out), await readTree(tree)), {});
  for (const name of ['dir', 'dir/file', 'dir/run', 'dir/closed', 'dir/closed/secret', 'large']) {
    const [ours, theirs] = [await stat(join(out, name)), await stat(join(tree, name))];
    t.is(ours.mode, theirs.mode, name);
    if (name !== 'dir') t.is(Math.floor(ours.mtimeMs / 1000), Math.floor(theirs.mtimeMs / 1000), name);
  }
  t.is((await stat(join(out, 'dir/setuid'))).mode & 0o7777, 0o755);
});

function node(path: string, more: Partial<IsoNode>): IsoNode {
  const none = { mode: null, uid: null, gid: null, mtime: null, compressed: false };
  return { path, kind: 'file', size: 0, extents: [], ...none, ...more };
}

/** An image no honest writer makes: openIso refuses it, so the tree is given as if it had not. */
function forged(...nodes: readonly IsoNode[]): IsoImage {
  const source = bufferSource(Buffer.from('evil'));
  return { source, nodes } as unknown as IsoImage;
}

test('a link of the image is never followed', async (t) => {
  const dir = await tempDir(t);
  await mkdir(join(dir, 'outside'));
  const image = forged(
    node('trap', { kind: 'symlink', target: '../outside' }),
    node('trap/file', { size: 4, extents: [{ offset: 0, length: 4 }] }),
  );
  const error = await t.throwsAsync<ImageError>(extractIso(image, join(dir, 'out')));
  t.is(error?.code, 'EXTRACT_FAILED');
  t.deepEqual(await readdir(join(dir, 'outside')), []);
});

test('nothing that is there is written to', async (t) => {
  const dir = await tempDir(t);
  await mkdir(join(dir, 'outside'));
  await mkdir(join(dir, 'used'));
  await symlink('../outside', join(dir, 'used/dir'));
  await writeFile(join(dir, 'file'), 'mine');
  const image = forged(
    node('dir', { kind: 'directory' }),
    node('dir/file', { size: 4, extents: [{ offset: 0, length: 4 }] }),
  );
  await t.throwsAsync(extractIso(image, join(dir, 'used')), {
    code: 'EXTRACT_FAILED',
    message: /is not empty/,
  });
  await t.throwsAsync(extractIso(image, join(dir, 'file')), {
    code: 'EXTRACT_FAILED',
    message: /cannot be written/,
  });
  t.deepEqual(await readdir(join(dir, 'outside')), []);
  t.is((await readFile(join(dir, 'file'))).toString(), 'mine');
});
