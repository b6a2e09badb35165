import { access, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import zlib from 'node:zlib';
import test from 'ava';
import { indexEdits } from '../../../src/image/drivers/depmod.js';
import { moduleEdits, type DriverSet } from '../../../src/image/drivers/driver-set.js';
import { holds, kernelsOf } from '../../../src/image/drivers/module-tree.js';
import { readDrivers } from '../../../src/image/drivers/read-drivers.js';
import type { ArchivePath } from '../../../src/image/cpio/path.js';
import type { Edit } from '../../../src/image/edit.js';
import { ImageError } from '../../../src/image/errors.js';
import { loadEntries } from '../../../src/image/archive-index.js';
import { previewArchive } from '../../../src/image/preview.js';
import { MemoryBlobs } from '../memory-blobs.js';
import { inDirectory, output } from '../programs.js';
import { plainOf, put, read, splice } from '../splicing.js';
import { compileModule, KERNEL, layOut, makeDeb, makeRpm } from './fixtures.js';

const base = compileModule({ exports: ['base_symbol'] });
const child = compileModule({ needs: ['base_symbol'], alias: 'pci:v00001234d00005678sv*sd*bc*sc*i*' });
const other = compileModule({ exports: ['other_symbol'] });
const foreign = compileModule({ kernel: '5.10.0-1-amd64' });

async function readFrom(
  files: Readonly<Record<string, Buffer | string>>,
  before: (dir: string) => Promise<void> = async () => undefined,
): Promise<{ set: DriverSet; notes: string[]; blobs: MemoryBlobs; dir: string }> {
  return inDirectory(async (dir) => {
    await layOut(dir, files);
    await before(dir);
    const blobs = new MemoryBlobs();
    const notes: string[] = [];
    const set = await readDrivers(dir, blobs, (line) => notes.push(line.replaceAll(dir, 'DIR')));
    return { set, notes, blobs, dir };
  });
}

const modulesOf = ({ modules }: DriverSet): string[] =>
  modules.map(({ kernel, name, source }) => `${kernel}/${name} from ${source}`);

test('modules are taken plain and compressed, decompressed', async (t) => {
  const bytes = await base;
  const { set, blobs } = await readFrom({
    'a.ko': bytes,
    'b.ko.gz': zlib.gzipSync(bytes),
    'c.ko.xz': await output('xz', ['-c'], bytes),
    'd.ko.zst': await output('zstd', ['-qc'], bytes),
    'README.md': 'left alone',
    '.hidden': 'left alone',
  });
  t.deepEqual(
    modulesOf(set),
    ['a.ko', 'b.ko.gz', 'c.ko.xz', 'd.ko.zst'].map(
      (file) => `${KERNEL}/${file.slice(0, 4)} from drivers/${file}`,
    ),
  );
  for (const { blob } of set.modules) t.deepEqual(blobs.held.get(blob), bytes);
  t.regex(set.depmod ?? '', /^kmod version \d+$/);
});

test('directories may hold modules for several kernels', async (t) => {
  const { set } = await readFrom({
    [`${KERNEL}/a.ko`]: await base,
    '5.10.0-1-amd64/a.ko': await foreign,
  });
  t.deepEqual(modulesOf(set), [
    '5.10.0-1-amd64/a.ko from drivers/5.10.0-1-amd64/a.ko',
    `${KERNEL}/a.ko from drivers/${KERNEL}/a.ko`,
  ]);
});

const PACKAGED = {
  [`usr/lib/modules/${KERNEL}/extra/deep/b-c.ko`]: child,
  'lib/firmware/card/a.bin': 'firmware',
  'etc/modprobe.d/x.conf': 'left out',
} as const;

const packagedFiles = async (): Promise<Record<string, Buffer | string>> =>
  Object.fromEntries(
    await Promise.all(Object.entries(PACKAGED).map(async ([name, bytes]) => [name, await bytes] as const)),
  );

for (const [file, make] of [
  ['x.deb', makeDeb],
  ['x.rpm', (to, files) => makeRpm(to, files, 'w9.gzdio')],
  ['xz.rpm', (to, files) => makeRpm(to, files, 'w2.xzdio')],
  ['zstd.rpm', (to, files) => makeRpm(to, files, 'w3.zstdio')],
] as readonly (readonly [string, typeof makeDeb])[]) {
  test(`of a package its modules and firmware are taken, its scripts not run: ${file}`, async (t) => {
    const files = await packagedFiles();
    const { set, notes, dir, blobs } = await readFrom({}, async (to) => {
      await make(path.join(to, file), files);
    });
    t.deepEqual(modulesOf(set), [`${KERNEL}/b-c.ko from drivers/${file}`]);
    t.deepEqual(
      set.firmware.map((one) => [
        one.path,
        one.mode.toString(8),
        one.blob === undefined ? '' : blobs.held.get(one.blob)!.toString(),
      ]),
      [
        ['lib/firmware/card', '40755', ''],
        ['lib/firmware/card/a.bin', '100644', 'firmware'],
      ],
    );
    t.deepEqual(notes, [
      `DIR/${file}: took 1 kernel module and 1 firmware file, left out 1 other file, ran none of its scripts`,
    ]);
    await t.throwsAsync(access(path.join(dir, `${file}.ran`)));
  });
}

test('firmware lies below firmware/, links included', async (t) => {
  const { set } = await readFrom({ 'firmware/a/x.bin': '1' }, (dir) =>
    symlink('a/x.bin', path.join(dir, 'firmware/y.bin')),
  );
  t.deepEqual(
    set.firmware.map((one) => [one.path, one.target]),
    [
      ['lib/firmware/a', undefined],
      ['lib/firmware/a/x.bin', undefined],
      ['lib/firmware/y.bin', 'a/x.bin'],
    ],
  );
});

const refused: readonly (readonly [string, () => Promise<Record<string, Buffer | string>>, RegExp])[] = [
  ['a stranger', async () => ({ 'notes.txt': '' }), /notes\.txt: drivers\/ may hold kernel modules/],
  [
    'what is no module',
    async () => ({ 'a.ko': 'no ELF' }),
    /^drivers\/a\.ko: no kernel module \(it has no vermagic\)/,
  ],
  [
    'a module in another kernel’s directory',
    async () => ({ '6.9/a.ko': await base }),
    new RegExp(`^drivers/6\\.9/a\\.ko is built for kernel ${KERNEL}, and lies in the directory for 6\\.9`),
  ],
  [
    'two modules of one name',
    async () => ({ 'a-b.ko': await base, 'a_b.ko': await child }),
    /^a_b\.ko comes from both drivers\/a-b\.ko and drivers\/a_b\.ko, and differs/,
  ],
  [
    'a damaged module',
    async () => ({ 'a.ko.gz': zlib.gzipSync(await base).subarray(0, 200) }),
    /a\.ko\.gz does not decompress/,
  ],
  ['a damaged package', async () => ({ 'a.deb': 'no package' }), /^dpkg-deb failed: /],
];

for (const [title, files, message] of refused) {
  test(`refused: ${title}`, async (t) => {
    const error = await t.throwsAsync(readFrom(await files()), { instanceOf: ImageError });
    t.regex(error.message, message);
    t.notRegex(error.message, /\n/);
  });
}

test('refused: a package with neither modules nor firmware', async (t) => {
  const error = await t.throwsAsync(
    readFrom({}, (dir) => makeDeb(path.join(dir, 'a.deb'), { 'usr/bin/x': 'x' })),
    { instanceOf: ImageError, code: 'BAD_LAYER' },
  );
  t.regex(
    error.message,
    /a\.deb holds nothing below lib\/modules or lib\/firmware; remove it from drivers\/$/,
  );
});

test('modules for other kernels than the image’s are left out, unless that leaves nothing', async (t) => {
  const { set, blobs } = await readFrom({
    'a.ko': await base,
    [`${KERNEL}/b.ko`]: await base,
    '5.10.0-1-amd64/b.ko': await foreign,
  });
  const edits = moduleEdits(set, { kernels: [KERNEL, 'unrelated'], holds: () => false }, blobs, 'layer nic');
  t.deepEqual(
    edits.flatMap((edit) => (edit.op === 'put' ? [edit.path] : [])),
    [`lib/modules/${KERNEL}/updates/a.ko`, `lib/modules/${KERNEL}/updates/b.ko`] as never,
  );
  const message = (kernels: string[]): string | undefined =>
    t.throws(() => moduleEdits(set, { kernels, holds: () => false }, blobs, 'layer nic'), {
      instanceOf: ImageError,
      code: 'WRONG_KERNEL',
    })?.message;
  t.is(
    message(['5.10.0-1-amd64', '7.0']),
    `layer nic: drivers/a.ko is built for kernel ${KERNEL}, the image has 5.10.0-1-amd64, 7.0; get the driver for the image's kernel`,
  );
  t.regex(message([]) ?? '', /the image has no kernel modules, and a kernel of unknown version/);
});

/** A usr-merged image with base.ko and other.ko, and the indexes that depmod makes of them. */
async function makeImage(dir: string, prune: (name: string) => boolean = () => false): Promise<Buffer> {
  const modules = `usr/lib/modules/${KERNEL}`;
  await layOut(dir, {
    [`${modules}/kernel/base.ko`]: await base,
    [`${modules}/kernel/other.ko`]: await other,
    [`${modules}/modules.order`]: 'kernel/other.ko\nkernel/base.ko\n',
    [`${modules}/modules.builtin`]: 'kernel/builtin.ko\n',
    'usr/bin/x': 'x',
  });
  await symlink('usr/lib', path.join(dir, 'lib'));
  await output('/usr/sbin/depmod', ['-b', dir, KERNEL]);
  const names = (await output('find', ['.', '-mindepth', '1'], undefined, dir)).toString().split('\n').sort();
  const kept = names.filter((name) => name !== '' && !prune(name));
  return output(
    'cpio',
    ['-o', '-H', 'newc', '--quiet', '--reproducible'],
    Buffer.from(`${kept.join('\n')}\n`),
    dir,
  );
}

/** The image with `set` put in, unpacked into `to`; and which paths that changed. */
async function install(image: Buffer, drivers: Record<string, Buffer>, to: string): Promise<string[]> {
  const { set, blobs } = await readFrom(drivers);
  const descriptor = await read(image, blobs);
  const entries = await loadEntries(descriptor, blobs);
  const { tree } = previewArchive(descriptor, entries, [], blobs);
  const target = { kernels: kernelsOf(tree), holds: (path: ArchivePath) => holds(tree, path) };
  const edits: Edit[] = [...moduleEdits(set, target, blobs, 'layer')];
  edits.push(...(await indexEdits(previewArchive(descriptor, entries, edits, blobs), KERNEL, 'depmod')));
  const after = await splice(descriptor, edits, blobs);
  await mkdir(to);
  await output('cpio', ['-idm', '--quiet'], Buffer.concat(await plainOf(after, blobs)), to);
  return edits.flatMap((edit) => (edit.op === 'put' ? [path.basename(edit.path)] : []));
}

test('a driver lands in updates/, and the indexes are those that depmod makes of the whole', async (t) => {
  await inDirectory(async (dir) => {
    const to = path.join(dir, 'unpacked');
    await mkdir(path.join(dir, 'image'));
    const changed = await install(await makeImage(path.join(dir, 'image')), { 'child.ko': await child }, to);
    const modules = path.join(to, 'usr/lib/modules', KERNEL);
    t.deepEqual(await readFile(path.join(modules, 'updates/child.ko')), await child);
    t.regex(
      await readFile(path.join(modules, 'modules.dep'), 'utf8'),
      /^updates\/child\.ko: kernel\/base\.ko$/m,
    );
    t.regex(await readFile(path.join(modules, 'modules.alias'), 'utf8'), /^alias pci:v00001234.* child$/m);
    t.deepEqual(changed.sort(), [
      'child.ko',
      'modules.alias',
      'modules.alias.bin',
      'modules.dep',
      'modules.dep.bin',
    ]);
    const hashes = async (): Promise<string> =>
      (await output('sh', ['-c', 'sha256sum modules.* | grep -v builtin'], undefined, modules)).toString();
    const ours = await hashes();
    await output('/usr/sbin/depmod', ['-b', to, KERNEL]);
    t.is(ours, await hashes());
    const loads = await output('/usr/sbin/modprobe', ['-d', to, '-S', KERNEL, '--show-depends', 'child']);
    t.regex(loads.toString(), /kernel\/base\.ko\s*\n.*updates\/child\.ko/);
  });
});

test('a module in updates/ wins over the kernel’s own', async (t) => {
  await inDirectory(async (dir) => {
    const to = path.join(dir, 'unpacked');
    await mkdir(path.join(dir, 'image'));
    const newer = await compileModule({ exports: ['base_symbol', 'new_symbol'] });
    await install(
      await makeImage(path.join(dir, 'image')),
      { 'base.ko': newer, 'child.ko': await child },
      to,
    );
    const listed = await readFile(path.join(to, 'usr/lib/modules', KERNEL, 'modules.dep'), 'utf8');
    t.deepEqual(listed.trim().split('\n').sort(), [
      'kernel/other.ko:',
      'updates/base.ko:',
      'updates/child.ko: updates/base.ko',
    ]);
  });
});

test('a driver takes the place of a compressed one of that name', async (t) => {
  await inDirectory(async (dir) => {
    const tree = path.join(dir, 'image');
    await layOut(tree, {
      [`usr/lib/modules/${KERNEL}/updates/child.ko.xz`]: await output('xz', ['-c'], await other),
    });
    const to = path.join(dir, 'unpacked');
    await install(await makeImage(tree), { 'child.ko': await child }, to);
    t.deepEqual(await readdir(path.join(to, 'usr/lib/modules', KERNEL, 'updates')), ['child.ko']);
    const listed = await readFile(path.join(to, 'usr/lib/modules', KERNEL, 'modules.dep'), 'utf8');
    t.regex(listed, /^updates\/child\.ko: kernel\/base\.ko$/m);
    t.notRegex(listed, /child\.ko\.xz/);
  });
});

test('an image that keeps only binary indexes gets no others', async (t) => {
  await inDirectory(async (dir) => {
    await mkdir(path.join(dir, 'image'));
    const image = await makeImage(path.join(dir, 'image'), (name) =>
      /modules\.(dep|alias|symbols)$/.test(name),
    );
    const changed = await install(image, { 'child.ko': await child }, path.join(dir, 'unpacked'));
    t.deepEqual(changed.sort(), ['child.ko', 'modules.alias.bin', 'modules.dep.bin']);
  });
});

test('an image that keeps compressed modules keeps them', async (t) => {
  await inDirectory(async (dir) => {
    const tree = path.join(dir, 'image');
    await mkdir(tree);
    await makeImage(tree);
    const own = path.join(tree, 'usr/lib/modules', KERNEL, 'kernel');
    await output('xz', ['--check=crc32', path.join(own, 'base.ko')]);
    const image = await output(
      'sh',
      ['-c', 'find . -mindepth 1 | sort | cpio -o -H newc --quiet'],
      undefined,
      tree,
    );
    const to = path.join(dir, 'unpacked');
    await install(image, { 'child.ko': await child }, to);
    const listed = await readFile(path.join(to, 'usr/lib/modules', KERNEL, 'modules.dep'), 'utf8');
    t.regex(listed, /^updates\/child\.ko: kernel\/base\.ko\.xz$/m);
  });
});

test('an image with modules that this machine’s depmod cannot read is refused', async (t) => {
  await inDirectory(async (dir) => {
    const tree = path.join(dir, 'image');
    await mkdir(tree);
    await makeImage(tree);
    const own = path.join(tree, 'usr/lib/modules', KERNEL, 'kernel');
    await writeFile(path.join(own, 'base.ko.gz'), zlib.gzipSync(await base));
    await output('rm', [path.join(own, 'base.ko')]);
    const image = await output(
      'sh',
      ['-c', 'find . -mindepth 1 | sort | cpio -o -H newc --quiet'],
      undefined,
      tree,
    );
    const error = await t.throwsAsync(
      install(image, { 'child.ko': await child }, path.join(dir, 'unpacked')),
      {
        instanceOf: ImageError,
        code: 'TOOL_FAILED',
      },
    );
    t.regex(error.message, /^this machine's depmod reads no \.gz modules/);
  });
});

test('the image’s own depmod.d decides, not this machine’s', async (t) => {
  await inDirectory(async (dir) => {
    const tree = path.join(dir, 'image');
    await mkdir(tree);
    await layOut(tree, { 'etc/depmod.d/x.conf': 'search built-in updates\n' });
    const newer = await compileModule({ exports: ['base_symbol', 'new_symbol'] });
    const to = path.join(dir, 'unpacked');
    await install(await makeImage(tree), { 'base.ko': newer }, to);
    const listed = await readFile(path.join(to, 'usr/lib/modules', KERNEL, 'modules.dep'), 'utf8');
    t.deepEqual(listed.trim().split('\n').sort(), ['kernel/base.ko:', 'kernel/other.ko:']);
  });
});

test('previews show what edits are going to leave', async (t) => {
  await inDirectory(async (dir) => {
    const blobs = new MemoryBlobs();
    const descriptor = await read(await makeImage(dir), blobs);
    const entries = await loadEntries(descriptor, blobs);
    const { tree } = previewArchive(
      descriptor,
      entries,
      [
        put('lib/modules/7.0/x', ''),
        { op: 'delete', path: 'lib/modules/6.1.0-50-test' as never, required: true, from: 't' },
      ],
      blobs,
    );
    t.deepEqual(kernelsOf(tree), ['7.0']);
  });
});
