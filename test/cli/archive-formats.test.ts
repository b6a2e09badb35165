import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { cpioNames, inDirectory, output } from '../image/programs.js';
import { newSite } from './in-process.js';
import { served } from './served.js';

const run = promisify(execFile);

interface Site {
  readonly dir: string;
  readonly work: string;
  /** Runs a command that must succeed; gives back what it prints, and its notes. */
  readonly rackboot: (...words: string[]) => Promise<{ readonly out: string; readonly err: string }>;
}

async function withSite(t: ExecutionContext, body: (site: Site) => Promise<void>): Promise<void> {
  const { dir, rackboot } = await newSite(t);
  await inDirectory(async (work) => {
    await writeFile(join(work, 'vmlinuz'), 'a kernel');
    await writeFile(join(work, 'hello'), 'hello\n');
    await body({
      dir,
      work,
      async rackboot(...words) {
        const { status, out, err } = await rackboot(...words);
        if (status !== 0) throw new Error(`${words.join(' ')}: ${err}`);
        return { out, err };
      },
    });
  });
}

const BUILDERS: readonly {
  readonly title: string;
  readonly codec: string;
  readonly build: (file: string, work: string) => Promise<unknown>;
  readonly plain: (file: Buffer) => Promise<Buffer>;
}[] = [
  {
    title: 'dracut’s initramfs',
    codec: 'xz',
    build: (file) =>
      run('dracut', [
        ...[
          '--no-kernel',
          '--no-hostonly',
          '--no-hostonly-cmdline',
          '--no-early-microcode',
          '--kver',
          'none',
        ],
        ...['-m', 'base', '--xz', '-q', '-f', file],
      ]),
    plain: (file) => output('xz', ['-dc'], file),
  },
  {
    title: 'initramfs-tools’ initrd',
    codec: 'zstd',
    // It asks /boot/config-<version> what the kernel can unpack: one is put there for itself alone.
    async build(file, work) {
      await mkdir(join(work, 'boot'));
      await writeFile(join(work, 'boot/config-0-none'), 'CONFIG_RD_ZSTD=y\n');
      const script = 'mount --bind "$1/boot" /boot && exec mkinitramfs -c zstd -o "$2" 0-none';
      await run('unshare', ['-m', 'sh', '-c', script, 'sh', work, file]);
    },
    plain: (file) => output('zstd', ['-dqc'], file),
  },
  {
    title: 'early microcode and an lz4 archive',
    codec: 'lz4',
    async build(file, work) {
      const [early, main] = [join(work, 'early'), join(work, 'main')];
      await mkdir(join(early, 'kernel/x86/microcode'), { recursive: true });
      await writeFile(join(early, 'kernel/x86/microcode/GenuineIntel.bin'), 'microcode');
      await mkdir(join(main, 'etc'), { recursive: true });
      await writeFile(join(main, 'etc/motd'), 'welcome\n');
      const pack = async (dir: string): Promise<Buffer> =>
        output('sh', ['-c', 'find . | sort | cpio -o -H newc --quiet'], undefined, dir);
      await writeFile(
        file,
        Buffer.concat([await pack(early), await output('lz4', ['-lqc'], await pack(main))]),
      );
    },
    async plain(file) {
      const end = file.indexOf(Buffer.from([0x02, 0x21, 0x4c, 0x18]));
      return output('lz4', ['-dqc'], file.subarray(end));
    },
  },
];

for (const { title, codec, build, plain } of BUILDERS) {
  test.serial(`${title}: imported as it is, and differs by just what is put`, async (t) => {
    await withSite(t, async ({ dir, work, rackboot }) => {
      const file = join(work, 'initrd.img');
      await build(file, work);
      const vendor = await readFile(file);
      await rackboot('image', 'import', file, '--kernel', join(work, 'vmlinuz'), '--name', 'x');
      t.true((await served(dir, 'x', 'initrd.img')).equals(vendor));
      const parts = JSON.parse((await rackboot('--json', 'image', 'parts', 'x')).out) as { codec: string }[];
      t.is(parts.at(-1)!.codec, codec);
      const { out } = await rackboot('image', 'put', 'x', `${join(work, 'hello')}:/etc/hello`);
      t.regex(out, new RegExp(`and all .* of the archive with ${codec}`));
      const before = await cpioNames(await plain(vendor));
      const after = await cpioNames(await plain(await served(dir, 'x', 'initrd.img')));
      const dotted = before.filter((name) => name.startsWith('./')).length * 2 > before.length ? './' : '';
      t.deepEqual(after, [...before, `${dotted}etc/hello`]);
      t.is((await rackboot('image', 'cat', 'x', '/etc/hello')).out, 'hello\n');
    });
  });
}

test.serial('--part: one archive of several is looked into and changed', async (t) => {
  await withSite(t, async ({ dir, work, rackboot }) => {
    const file = join(work, 'initrd.img');
    await BUILDERS[2]!.build(file, work);
    await rackboot('image', 'import', file, '--kernel', join(work, 'vmlinuz'), '--name', 'x');
    const where = '/kernel/x86/microcode/AuthenticAMD.bin';
    const { out } = await rackboot('image', 'put', 'x', '--part', '1', `${join(work, 'hello')}:${where}`);
    t.notRegex(out, /lz4/);
    t.true((await cpioNames(await served(dir, 'x', 'initrd.img'))).includes(where.slice(1)));
    t.false((await rackboot('image', 'files', 'x', '--part', '2')).out.includes(where));
    t.true((await rackboot('image', 'files', 'x')).out.includes(where));
    await t.throwsAsync(rackboot('image', 'files', 'x', '--part', '3'), { message: /made of 2 archives/ });
    await t.throwsAsync(rackboot('image', 'delete', 'x', '--part', '2', where), {
      message: /not in the image/,
    });
    await t.throwsAsync(rackboot('image', 'unpack', 'x', join(work, 'u')), {
      message: /--part 1 to --part 2/,
    });
    await rackboot('image', 'unpack', 'x', join(work, 'u'), '--part', '2');
    await writeFile(join(work, 'u/etc/motd'), 'changed\n');
    await rackboot('image', 'pack', 'x', join(work, 'u'));
    t.is((await rackboot('image', 'cat', 'x', '/etc/motd', '--part', '2')).out, 'changed\n');
    t.is((await rackboot('image', 'cat', 'x', where)).out, 'hello\n');
  });
});

test.serial('an odc archive is imported as newc, and a note says so', async (t) => {
  await withSite(t, async ({ dir, work, rackboot }) => {
    const odc = await output('cpio', ['-o', '-H', 'odc', '--quiet'], Buffer.from('hello\n'), work);
    await writeFile(join(work, 'initrd.img'), odc);
    const words = [
      'image',
      'import',
      join(work, 'initrd.img'),
      '--kernel',
      join(work, 'vmlinuz'),
      '--name',
      'x',
    ];
    const { err } = await rackboot(...words);
    t.regex(err, /converted from portable ASCII cpio \(070707\) to newc/);
    t.is((await served(dir, 'x', 'initrd.img')).toString('latin1', 0, 6), '070701');
    t.is((await rackboot('image', 'cat', 'x', '/hello')).out, 'hello\n');
  });
});

test.serial('unpack, change, pack: what a build does with it afterwards', async (t) => {
  await withSite(t, async ({ dir, work, rackboot }) => {
    const file = join(work, 'initrd.img');
    await writeFile(
      file,
      await output('cpio', ['-o', '-H', 'newc', '--quiet'], Buffer.from('hello\n'), work),
    );
    await rackboot('image', 'import', file, '--kernel', join(work, 'vmlinuz'), '--name', 'x');
    const layer = join(work, 'layer');
    await mkdir(join(layer, 'overlay/etc'), { recursive: true });
    await writeFile(join(layer, 'overlay/etc/from-layer'), 'layer\n');
    await rackboot('image', 'build', 'x', '--layers', layer);
    await rackboot('image', 'put', 'x', `${join(work, 'hello')}:/put`);
    const root = join(work, 'root');
    await rackboot('image', 'unpack', 'x', root);
    t.regex((await rackboot('image', 'pack', 'x', root)).out, /has just these inputs already/);
    await rm(join(root, 'etc/from-layer'));
    await chmod(join(root, 'hello'), 0o600);
    t.regex((await rackboot('image', 'pack', 'x', root, '--compress', 'xz')).out, /with xz/);
    const files = async (): Promise<string[]> =>
      cpioNames(await output('xz', ['-dc'], await served(dir, 'x', 'initrd.img')));
    t.deepEqual(await files(), ['hello', 'etc', 'put']);
    await rackboot('image', 'build', 'x');
    t.deepEqual(await files(), ['hello', 'etc', 'put'], 'the same layers are in it already');
    await rackboot('image', 'put', 'x', `${join(work, 'hello')}:/later`);
    t.deepEqual(await files(), ['hello', 'etc', 'put', 'later']);
    await writeFile(join(layer, 'overlay/etc/from-layer'), 'another\n');
    await rackboot('image', 'build', 'x');
    t.deepEqual((await files()).sort(), ['etc', 'etc/from-layer', 'hello', 'later', 'put']);
    await rackboot('gc');
    await rackboot('image', 'build', 'x', '--discard-edits');
    t.deepEqual(await cpioNames(await served(dir, 'x', 'initrd.img')), ['hello', 'etc', 'etc/from-layer']);
    t.regex((await rackboot('store', 'verify')).out, /./);
  });
});
