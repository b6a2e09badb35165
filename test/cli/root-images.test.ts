import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { inDirectory, output } from '../image/programs.js';
import { runCommand, type Outcome } from './in-process.js';
import { served } from './served.js';

/** A root tree with a link that overlays must go through. */
async function makeRoot(dir: string): Promise<string> {
  const root = path.join(dir, 'root');
  await mkdir(path.join(root, 'usr/lib'), { recursive: true });
  await mkdir(path.join(root, 'etc'));
  await symlink('usr/lib', path.join(root, 'lib'));
  await writeFile(path.join(root, 'etc/hello'), 'hello\n');
  await writeFile(path.join(root, 'usr/lib/library'), Buffer.alloc(100_000, 'x'));
  return root;
}

interface Kind {
  readonly file: string;
  readonly whole: string | undefined; // what an edit says that it compressed whole
  readonly make: (root: string, file: string) => Promise<Buffer>;
  readonly unpack: (file: string, dir: string) => Promise<Buffer>;
}

const untar: Kind['unpack'] = (file, dir) => output('tar', ['-C', dir, '-xf', file]);
const KINDS: readonly Kind[] = [
  {
    file: 'root.tar.gz',
    whole: undefined,
    make: (root, file) => output('tar', ['-C', root, '-czf', file, '.']),
    unpack: untar,
  },
  {
    file: 'root.tar.xz',
    whole: 'xz',
    make: (root, file) => output('tar', ['-C', root, '-cJf', file, '.']),
    unpack: untar,
  },
  {
    file: 'root.squashfs',
    whole: 'squashfs',
    make: (root, file) => output('mksquashfs', [root, file, '-quiet', '-no-progress', '-comp', 'zstd']),
    unpack: (file, dir) => output('unsquashfs', ['-quiet', '-no-progress', '-force', '-dest', dir, file]),
  },
];

for (const { file, whole, make, unpack } of KINDS) {
  test(`${file}: imported, listed, read, changed and served`, async (t) => {
    await inDirectory(async (dir) => {
      const site = path.join(dir, 'site');
      const rackboot = async (...words: string[]): Promise<Outcome> => {
        const outcome = await runCommand(['--site', site, ...words]);
        if (outcome.status !== 0) throw new Error(outcome.err);
        return outcome;
      };
      await rackboot('init');
      const source = path.join(dir, file);
      await make(await makeRoot(dir), source);
      t.notRegex((await rackboot('image', 'import', source, '--name', 'x')).err, /kernel/);
      t.true((await served(site, 'x', file)).equals(await readFile(source)) || whole === undefined);
      t.regex((await rackboot('image', 'files', 'x', '/lib')).out, / \/usr\/lib\/library$/m);
      t.is((await rackboot('image', 'cat', 'x', '/etc/hello')).out, 'hello\n');
      t.regex((await rackboot('image', 'parts', 'x', '--archive', file)).out, / tar /);
      await writeFile(path.join(dir, 'new'), 'new\n');
      const { out } = await rackboot(
        'image',
        'put',
        'x',
        `${path.join(dir, 'new')}:/lib/new`,
        '--archive',
        file,
      );
      t.is(/with (\w+), which is one stream/.exec(out)?.[1], whole);
      const edited = path.join(dir, `edited-${file}`);
      await writeFile(edited, await served(site, 'x', file));
      const unpacked = path.join(dir, 'unpacked');
      await mkdir(unpacked);
      await unpack(edited, unpacked);
      t.is(await readFile(path.join(unpacked, 'usr/lib/new'), 'utf8'), 'new\n');
      t.is(await readFile(path.join(unpacked, 'etc/hello'), 'utf8'), 'hello\n');
      t.regex((await rackboot('image', 'diff', 'x', '1', '2')).out, /usr\/lib\/new/);
      const overlay = path.join(site, 'layers/mine/overlay/etc');
      await mkdir(overlay, { recursive: true });
      await writeFile(path.join(overlay, 'hello'), 'from a layer\n');
      await rackboot('image', 'build', 'x', '--layers', 'mine');
      t.is((await rackboot('image', 'cat', 'x', '/etc/hello')).out, 'from a layer\n');
      t.is((await rackboot('image', 'cat', 'x', '/lib/new')).out, 'new\n', 'what was put outlives a build');
      const tree = path.join(dir, 'tree');
      await rackboot('image', 'unpack', 'x', tree);
      t.is(await readFile(path.join(tree, 'usr/lib/new'), 'utf8'), 'new\n');
      await t.throwsAsync(rackboot('image', 'pack', 'x', tree), { message: /packed as cpio/ });
    });
  });
}

test('a tar archive that is to be an initrd is told of', async (t) => {
  await inDirectory(async (dir) => {
    const site = path.join(dir, 'site');
    await runCommand(['--site', site, 'init']);
    const [source, kernel] = [path.join(dir, 'root.tar'), path.join(dir, 'vmlinuz')];
    await output('tar', ['-C', await makeRoot(dir), '-cf', source, '.']);
    await writeFile(kernel, 'a kernel');
    const words = ['--site', site, 'image', 'import', source, '--name', 'x', '--kernel', kernel];
    t.regex((await runCommand(words)).err, /root\.tar: the kernel does not unpack tar archives/);
  });
});
