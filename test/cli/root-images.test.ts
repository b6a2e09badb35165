import { link, lstat, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { archiveBytes } from '../image/newc.js';
import { inDirectory, output } from '../image/programs.js';
import { rootItems } from '../osimage/edit/root-items.js';
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
      t.regex((await rackboot('image', 'pack', 'x', tree)).out, /has just these inputs already/);
    });
  });

  test(`${file}: unpacked, changed and packed again; what stays is as it was`, async (t) => {
    await inDirectory(async (dir) => {
      const site = path.join(dir, 'site');
      const rackboot = async (...words: string[]): Promise<Outcome> => {
        const outcome = await runCommand(['--site', site, ...words]);
        if (outcome.status !== 0) throw new Error(`${words.join(' ')}: ${outcome.err}`);
        return outcome;
      };
      await rackboot('init');
      const root = await makeRoot(dir);
      await link(path.join(root, 'etc/hello'), path.join(root, 'etc/also'));
      await output('mkfifo', [path.join(root, 'pipe')]);
      const source = path.join(dir, file);
      await make(root, source);
      await rackboot('image', 'import', source, '--name', 'x');
      const before = await rackboot('image', 'files', 'x');
      const tree = path.join(dir, 'tree');
      await rackboot('image', 'unpack', 'x', tree);
      t.regex((await rackboot('image', 'pack', 'x', tree)).out, /has just these inputs already/);
      const unchanged = (await served(site, 'x', file)).equals(await readFile(source));
      t.true(unchanged || whole === undefined, 'byte for byte');

      await writeFile(path.join(tree, 'usr/lib/library'), Buffer.alloc(100_000, 'y'));
      await writeFile(path.join(tree, 'etc/new'), 'new\n');
      await rm(path.join(tree, 'pipe'));
      await symlink('hello', path.join(tree, 'etc/link'));
      const { out } = await rackboot('image', 'pack', 'x', tree);
      t.is(/with (\w+), which is one stream/.exec(out)?.[1], whole);
      const changes = JSON.parse((await rackboot('--json', 'image', 'diff', 'x')).out) as {
        readonly paths: readonly {
          readonly path: string;
          readonly change: string;
          readonly what: string[];
        }[];
      };
      t.deepEqual(
        changes.paths
          .map(({ path: at, change, what }) => [at, change, ...what.filter((one) => one !== 'time')])
          .filter(([, change, ...what]) => change !== 'changed' || what.length > 0),
        [
          ['/etc/link', 'added'],
          ['/etc/new', 'added'],
          ['/pipe', 'removed'],
          ['/usr/lib/library', 'changed', 'content'],
        ],
      );
      const packed = path.join(dir, `packed-${file}`);
      await writeFile(packed, await served(site, 'x', file));
      const unpacked = path.join(dir, 'unpacked');
      await mkdir(unpacked);
      await unpack(packed, unpacked);
      t.is((await readFile(path.join(unpacked, 'usr/lib/library')))[0], 'y'.charCodeAt(0));
      const inode = async (name: string): Promise<number> => (await stat(path.join(unpacked, name))).ino;
      t.is(await inode('etc/hello'), await inode('etc/also'), 'hard links stay');
      t.is(await inode('etc/link'), await inode('etc/hello'));

      t.regex((await rackboot('image', 'pack', 'x', tree)).out, /has just these inputs already/);
      await rackboot('image', 'build', 'x', '--discard-edits');
      t.is((await rackboot('image', 'files', 'x')).out, before.out);
    });
  });

  test(`${file}: a command in the image changes it, and what it leaves alone stays`, async (t) => {
    await inDirectory(async (dir) => {
      const site = path.join(dir, 'site');
      const rackboot = async (...words: string[]): Promise<Outcome> => {
        const outcome = await runCommand(['--site', site, ...words]);
        if (outcome.status !== 0) throw new Error(`${words.join(' ')}: ${outcome.err}`);
        return outcome;
      };
      await rackboot('init');
      const root = path.join(dir, 'root');
      await mkdir(root);
      await output('cpio', ['-idm', '--quiet'], archiveBytes(rootItems()), root);
      const source = path.join(dir, file);
      await make(root, source);
      await rackboot('image', 'import', source, '--name', 'x');
      const script = 'echo hi > /etc/motd; busybox rm /etc/passwd; busybox ln /home/own /home/again';
      await rackboot('image', 'edit', 'x', '--', 'sh', '-ec', script);
      const changes = JSON.parse((await rackboot('--json', 'image', 'diff', 'x')).out) as {
        readonly paths: readonly { readonly path: string; readonly change: string }[];
      };
      t.deepEqual(
        changes.paths.map(({ path: at, change }) => `${change} ${at}`),
        ['changed /etc/motd', 'removed /etc/passwd', 'added /home/again'],
      );
      const edited = path.join(dir, `edited-${file}`);
      await writeFile(edited, await served(site, 'x', file));
      const unpacked = path.join(dir, 'unpacked');
      await mkdir(unpacked);
      await unpack(edited, unpacked);
      t.is(await readFile(path.join(unpacked, 'etc/motd'), 'utf8'), 'hi\n');
      const [own, again] = [
        await stat(path.join(unpacked, 'home/own')),
        await stat(path.join(unpacked, 'home/again')),
      ];
      t.is(own.ino, again.ino);
      if (process.getuid?.() === 0) t.deepEqual([own.uid, own.gid, own.mode & 0o777], [7, 8, 0o640]);
      t.true((await lstat(path.join(unpacked, 'etc/link'))).isSymbolicLink());
    });
  });
}

test('a tar archive is packed with another program when one is named, a squashfs is not', async (t) => {
  await inDirectory(async (dir) => {
    const site = path.join(dir, 'site');
    const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', site, ...words]);
    await rackboot('init');
    const root = await makeRoot(dir);
    for (const { file, make } of KINDS) {
      await make(root, path.join(dir, file));
      const name = file.replaceAll('.', '-');
      await rackboot('image', 'import', path.join(dir, file), '--name', name);
      const tree = path.join(dir, `tree-${name}`);
      await rackboot('image', 'unpack', name, tree);
      const { status, err } = await rackboot('image', 'pack', name, tree, '--compress', 'zstd');
      if (file.endsWith('squashfs')) {
        t.is(status, 1);
        t.regex(err, /a squashfs, which compresses in its own way; pack it without --compress/);
        continue;
      }
      t.is(status, 0, err);
      const packed = await served(site, name, file);
      const listed = await output('tar', ['--zstd', '-tf', '-'], packed);
      t.true(listed.toString().includes('./etc/hello'));
    }
  });
});

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
