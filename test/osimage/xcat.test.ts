import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { runCommand, runSucceeding, type Outcome } from '../cli/in-process.js';

const PACK: Readonly<Record<string, string>> = {
  'rootimg.sfs': 'tar -cf - . | tar2sqfs -q "$1"',
  'rootimg.cpio.gz': 'find . | cpio -o -H newc --quiet | gzip -n > "$1"',
  'rootimg.cpio.xz': 'find . | cpio -o -H newc --quiet | xz > "$1"',
  'rootimg.tar.gz': 'tar -czf "$1" .',
  'rootimg.tar.xz': 'tar -cJf "$1" .',
  'rootimg.gz': 'find . | cpio -o -H newc --quiet | gzip -n > "$1"',
};

let parent = '';
const rackboot = (...words: string[]): Promise<Outcome> =>
  runCommand(['--site', join(parent, 'site'), ...words]);

const succeed = (...words: string[]): Promise<string> =>
  runSucceeding(['--site', join(parent, 'site'), ...words]);

/** A rootimgdir as genimage and packimage leave it, with the tree beside what was packed of it. */
async function rootimgdir(image: string): Promise<string> {
  const directory = join(parent, `compute-${image}`);
  await mkdir(join(directory, 'rootimg/etc'), { recursive: true });
  await mkdir(join(directory, 'rootimg/dev'));
  await writeFile(join(directory, 'rootimg/etc/motd'), 'before\n');
  await symlink('/nowhere/at/all', join(directory, 'rootimg/etc/localtime'));
  for (const name of ['kernel', 'initrd-stateless.gz', 'initrd-statelite.gz'])
    await writeFile(join(directory, name), name);
  const root = join(directory, 'rootimg');
  execFileSync('bash', ['-c', PACK[image] ?? '', 'pack', join(directory, image)], { cwd: root });
  return directory;
}

test.before(async () => {
  parent = await mkdtemp(join(tmpdir(), 'rackboot-xcat-'));
  await succeed('init');
});
test.after.always(() => rm(parent, { recursive: true, force: true }));

for (const image of Object.keys(PACK)) {
  test.serial(
    `${image}: imported from its rootimgdir, changed, and served under a name that its initrd knows`,
    async (t) => {
      const name = `compute-${image}`;
      const imported = await rackboot('image', 'import', await rootimgdir(image), '--name', name);
      t.is(imported.status, 0, imported.err);
      t.regex(imported.err, /initrd-statelite\.gz: left out/);
      const served = image === 'rootimg.gz' ? 'rootimg.cpio.gz' : image;
      const shown = JSON.parse(await succeed('--json', 'image', 'show', name)) as {
        readonly family: string;
        readonly boot: readonly {
          readonly label: string;
          readonly args: string;
          readonly initrds: string[];
        }[];
        readonly files: readonly { readonly path: string }[];
      };
      t.is(shown.family, 'xcat');
      t.deepEqual(shown.files.map(({ path }) => path).sort(), ['initrd-stateless.gz', 'kernel', served]);
      t.is(shown.boot[0]?.label, 'netboot');
      t.deepEqual(shown.boot[0]?.initrds, ['initrd-stateless.gz']);
      t.true(shown.boot[0]?.args.startsWith(`imgurl={{ files }}/${served} `));
      await writeFile(join(parent, 'motd'), 'after\n');
      await succeed('image', 'put', name, `${join(parent, 'motd')}:/etc/motd`);
      t.is(await succeed('image', 'cat', name, '/etc/motd'), 'after\n');
      t.regex(await succeed('image', 'show', name, '-l'), /provmethod=netboot/);
    },
  );
}

for (const given of ['the directory', 'the root image']) {
  test.serial(`${given} alone names a stateless image: what lies beside it is found`, async (t) => {
    const image = 'rootimg.cpio.gz';
    const directory = join(parent, `compute-${image}`);
    const packed = given === 'the directory';
    if (packed) await rm(join(directory, image));
    const name = packed ? 'of-tree' : 'of-file';
    const source = packed
      ? join(directory, 'rootimg')
      : join(parent, 'compute-rootimg.tar.xz/rootimg.tar.xz');
    await succeed('image', 'import', source, '--name', name);
    t.is(await succeed('image', 'cat', name, '/etc/motd'), 'before\n');
    const { files } = JSON.parse(await succeed('--json', 'image', 'show', name)) as {
      readonly files: readonly { readonly path: string }[];
    };
    t.deepEqual(files.map(({ path }) => path).sort(), [
      'initrd-stateless.gz',
      'kernel',
      packed ? image : 'rootimg.tar.xz',
    ]);
  });
}

test.serial('a rootimgdir that packimage has not been at is packed as it is imported', async (t) => {
  const directory = join(parent, 'compute-rootimg.sfs');
  await rm(join(directory, 'rootimg.sfs'));
  const { status, err } = await rackboot('image', 'import', directory, '--name', 'unpacked');
  t.is(status, 0, err);
  t.regex(err, /rootimg: packed as rootimg\.cpio\.gz/);
  t.is(await succeed('image', 'cat', 'unpacked', '/etc/motd'), 'before\n');
  await succeed('image', 'pack', 'unpacked', join(directory, 'rootimg'));
  t.is((JSON.parse(await succeed('--json', 'image', 'history', 'unpacked')) as unknown[]).length, 1);
});

test.serial('a rootimgdir with nothing to pack is refused with what is missing', async (t) => {
  const directory = join(parent, 'compute-rootimg.sfs');
  await rm(join(directory, 'rootimg'), { recursive: true });
  const { status, err } = await rackboot('image', 'import', directory, '--name', 'none', '--family', 'xcat');
  t.is(status, 1);
  t.regex(err, /looked for kernel, initrd-stateless\.gz and rootimg\.cpio\.gz beside each other/);
});
