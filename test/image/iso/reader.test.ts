import { mkdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ImageError } from '../../../src/image/errors.js';
import { findNode, openIso, readNode } from '../../../src/image/iso/reader.js';
import { bufferSource } from '../../../src/image/iso/source.js';
import {
  counterpart,
  differences,
  makeTree,
  openImageFile,
  readImageTree,
  readTree,
  tempDir,
  type TreeSpec,
} from './counterparts.js';

const deep = 'one/two/three/four/five/six/seven/eight/nine/ten/eleven';
const longTarget = `${'a-directory-with-a-longer-name/'.repeat(12)}./../end`;
const longName = 'n'.repeat(240);
const spec: TreeSpec = {
  'readme.txt': 'hello\n',
  'empty-file': '',
  'empty-dir': null,
  'sector.bin': Buffer.alloc(2048, 7),
  'sector-and-one.bin': Buffer.alloc(2049, 8),
  'UPPER.TXT': 'upper',
  'script.sh': { mode: 0o755, bytes: Buffer.from('#!/bin/sh\n') },
  secret: { mode: 0o600, bytes: Buffer.from('secret') },
  'dir/sub/nested.cfg': 'nested',
  [`${deep}/deep-file`]: 'deep',
  [longName]: 'a name that needs a continuation area',
  'two  spaces and ünïcödé': 'utf-8',
  link: { link: 'readme.txt' },
  'abs-link': { link: '/usr/share/../lib' },
  'up-link': { link: '../../outside' },
  'rpms/a.rpm': Buffer.alloc(70_000, 'r'),
};
for (let index = 0; index < 120; index++)
  Object.assign(spec, { [`many/file-number-${index}.txt`]: `${index}` });

const writers: readonly {
  readonly name: string;
  readonly run: (tree: string, image: string) => Promise<Buffer>;
}[] = [
  {
    name: 'genisoimage -R -J',
    run: (tree, image) =>
      counterpart(
        'genisoimage',
        '-quiet',
        '-R',
        '-J',
        '-joliet-long',
        '-input-charset',
        'utf-8',
        '-o',
        image,
        tree,
      ),
  },
  {
    name: 'genisoimage -R -D',
    run: (tree, image) =>
      counterpart('genisoimage', '-quiet', '-R', '-D', '-input-charset', 'utf-8', '-o', image, tree),
  },
  {
    name: 'xorriso',
    run: (tree, image) => counterpart('xorriso', '-as', 'mkisofs', '-quiet', '-R', '-J', '-o', image, tree),
  },
  {
    name: 'xorriso, relocating deep directories',
    run: (tree, image) =>
      counterpart('xorriso', '-compliance', 'deep_paths_off', '-outdev', image, '-map', tree, '/'),
  },
  {
    name: 'bsdtar',
    run: (tree, image) =>
      counterpart(
        'bsdtar',
        '--format',
        'iso9660',
        '--options',
        'rockridge=strict',
        '-cf',
        image,
        '-C',
        tree,
        '.',
      ),
  },
];

async function sample(
  t: ExecutionContext,
  writer: (typeof writers)[number],
): Promise<{ tree: string; image: string }> {
  const dir = await tempDir(t);
  const tree = join(dir, 'tree');
  await mkdir(tree);
  await makeTree(
    tree,
    writer.name.startsWith('genisoimage') ? spec : { ...spec, 'long-link': { link: longTarget } },
  );
  const image = join(dir, 'image.iso');
  await writer.run(tree, image);
  return { tree, image };
}

for (const writer of writers) {
  test(`reads what ${writer.name} wrote: every name, link, mode and byte`, async (t) => {
    const { tree, image: path } = await sample(t, writer);
    const image = await openImageFile(t, path);
    t.is(image.namespace, 'rock-ridge');
    const found = await readImageTree(image);
    found.delete('rr_moved'); // where relocating writers keep the directories meanwhile
    t.deepEqual(differences(found, await readTree(tree)), {});
    for (const node of image.nodes) {
      if (node.path === 'rr_moved' || node.kind === 'symlink') continue;
      const info = await stat(join(tree, node.path));
      t.is(node.mode! & 0o777, info.mode & 0o777, node.path);
      t.is(node.mtime, Math.floor(info.mtimeMs / 1000), node.path);
      t.deepEqual([node.uid, node.gid], [info.uid, info.gid], node.path);
    }
  });
}

test('a long link target that genisoimage wrote damaged is unreadable, and alone', async (t) => {
  const dir = await tempDir(t);
  await makeTree(join(dir, 'tree'), { 'a-file': 'a', 'long-link': { link: longTarget }, 'z-file': 'z' });
  const path = join(dir, 'image.iso');
  await counterpart('genisoimage', '-quiet', '-R', '-o', path, join(dir, 'tree'));
  const image = await openImageFile(t, path);
  t.deepEqual(
    image.nodes.map(({ path: name, kind, target }) => [name, kind, target]),
    [
      ['a-file', 'file', undefined],
      ['long-link', 'symlink', undefined],
      ['z-file', 'file', undefined],
    ],
  );
});

test('lists what isoinfo, bsdtar and xorriso list', async (t) => {
  const lines = (text: Buffer): string[] => text.toString().trim().split('\n');
  const inPlace = ['genisoimage -R -D', 'xorriso']; // isoinfo does not look through relocation
  for (const writer of writers.filter(({ name }) => inPlace.includes(name))) {
    const { image: path } = await sample(t, writer);
    const ours = (await openImageFile(t, path)).nodes.map((node) => `/${node.path}`).sort();
    const isoinfo = lines(await counterpart('isoinfo', '-R', '-f', '-i', path));
    const bsdtar = lines(await counterpart('bsdtar', '-tf', path)).map((line) => `/${line}`);
    const xorriso = lines(await counterpart('xorriso', '-indev', path, '-find', '/'));
    const theirs = {
      isoinfo,
      bsdtar: bsdtar.filter((line) => line !== '/.'),
      xorriso: xorriso.map((line) => line.slice(1, -1)).filter((line) => line !== '/'),
    };
    for (const [program, listed] of Object.entries(theirs)) {
      t.is(ours.join('\n'), listed.sort().join('\n'), `${program} of ${writer.name}`);
    }
  }
});

const plainSpec: TreeSpec = { 'A.TXT': 'a', 'LONG-NAME.TEXT': 'long', 'DIR/B': 'b', 'DIR/EMPTY': '' };

test('without Rock Ridge, names come from Joliet', async (t) => {
  const dir = await tempDir(t);
  await makeTree(join(dir, 'tree'), { ...plainSpec, 'Dir/ünïcödé and spaces.text': 'joliet' });
  const path = join(dir, 'image.iso');
  await counterpart('genisoimage', '-quiet', '-J', '-input-charset', 'utf-8', '-o', path, join(dir, 'tree'));
  const image = await openImageFile(t, path);
  t.is(image.namespace, 'joliet');
  t.deepEqual(differences(await readImageTree(image), await readTree(join(dir, 'tree'))), {});
  t.true(image.nodes.every((node) => node.mode === null));
});

test('without either, names are the plain ones, less their versions', async (t) => {
  const dir = await tempDir(t);
  await makeTree(join(dir, 'tree'), plainSpec);
  const path = join(dir, 'image.iso');
  await counterpart('genisoimage', '-quiet', '-iso-level', '2', '-o', path, join(dir, 'tree'));
  const image = await openImageFile(t, path);
  t.is(image.namespace, 'iso9660');
  const isoinfo = (await counterpart('isoinfo', '-f', '-i', path)).toString().trim().split('\n');
  t.deepEqual(
    image.nodes.map((node) => `/${node.path}`),
    isoinfo.map((line) => line.replace(/;\d+$/, '').replace(/\.$/, '')).sort(),
  );
});

test('device nodes keep their numbers', async (t) => {
  const dir = await tempDir(t);
  const path = join(dir, 'image.iso');
  await makeTree(join(dir, 'tree'), { file: 'x' });
  await counterpart('mknod', join(dir, 'tree/null'), 'c', '1', '3');
  await counterpart('mknod', join(dir, 'tree/disk'), 'b', '259', '70000');
  await counterpart('mkfifo', join(dir, 'tree/pipe'));
  await counterpart('xorriso', '-as', 'mkisofs', '-quiet', '-R', '-o', path, join(dir, 'tree'));
  const image = await openImageFile(t, path);
  t.deepEqual(
    image.nodes.map(({ path: name, kind, device }) => [name, kind, device]),
    [
      ['disk', 'block', { major: 259, minor: 70000 }],
      ['file', 'file', undefined],
      ['null', 'character', { major: 1, minor: 3 }],
      ['pipe', 'fifo', undefined],
    ],
  );
  t.throws(() => readNode(image, findNode(image, '/null')), { code: 'NOT_A_FILE' });
  t.throws(() => findNode(image, 'missing'), { code: 'NO_SUCH_ENTRY', message: /holds no \/missing/ });
});

test('the volume descriptors say what isoinfo -d says', async (t) => {
  const dir = await tempDir(t);
  await makeTree(join(dir, 'tree'), { file: 'x' });
  const path = join(dir, 'image.iso');
  await counterpart(
    'genisoimage',
    '-quiet',
    '-J',
    '-R',
    '-V',
    'VOLUME',
    '-sysid',
    'SYSTEM',
    '-volset',
    'SET',
    '-publisher',
    'PUBLISHER',
    '-p',
    'PREPARER',
    '-A',
    'APPLICATION',
    '-o',
    path,
    join(dir, 'tree'),
  );
  const [primary, joliet] = (await openImageFile(t, path)).volumes;
  const { root: _root, created, modified, ...fields } = primary!;
  t.deepEqual(fields, {
    kind: 'primary',
    volumeId: 'VOLUME',
    systemId: 'SYSTEM',
    volumeSetId: 'SET',
    publisherId: 'PUBLISHER',
    preparerId: 'PREPARER',
    applicationId: 'APPLICATION',
    sizeBytes: (await stat(path)).size,
    blockSize: 2048,
  });
  t.regex(created ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\dZ$/);
  t.is(created, modified);
  t.is(joliet?.kind, 'joliet');
  t.is(joliet?.volumeId, 'VOLUME');
  const volumeSize = /Volume size is: (\d+)/.exec(
    (await counterpart('isoinfo', '-d', '-i', path)).toString(),
  );
  t.is(primary!.sizeBytes, Number(volumeSize?.[1]) * 2048);
});

test('a zisofs file is listed and not handed out compressed', async (t) => {
  const dir = await tempDir(t);
  await makeTree(join(dir, 'tree'), { file: Buffer.alloc(200_000, 'z') });
  const path = join(dir, 'image.iso');
  await counterpart(
    'xorriso',
    '-outdev',
    path,
    '-map',
    join(dir, 'tree'),
    '/',
    '-set_filter',
    '--zisofs',
    '/file',
    '--',
  );
  const image = await openImageFile(t, path);
  t.throws(() => readNode(image, findNode(image, 'file')), { code: 'UNKNOWN_CODEC', message: /zisofs/ });
});

const strangers: readonly { readonly name: string; readonly bytes: Buffer }[] = [
  { name: 'an empty file', bytes: Buffer.alloc(0) },
  { name: 'a text file', bytes: Buffer.from('not an image\n') },
  { name: 'a megabyte of zeros', bytes: Buffer.alloc(1 << 20) },
  { name: 'a file that ends inside the first descriptor', bytes: Buffer.alloc(32768 + 100, 'CD001') },
];
for (const { name, bytes } of strangers) {
  test(`${name} is no image`, async (t) => {
    const error = await t.throwsAsync<ImageError>(openIso(bufferSource(bytes)));
    t.is(error?.code, 'BAD_MAGIC');
    t.regex(error?.message ?? '', /this is not an ISO image/);
  });
}

test('an image cut off before its last file says which file and where', async (t) => {
  const { image } = await sample(t, writers[2]!);
  await truncate(image, 400_000);
  const error = await t.throwsAsync<ImageError>(openImageFile(t, image));
  t.is(error?.code, 'TRUNCATED');
  t.regex(
    error?.message ?? '',
    /^\/.+ ends at byte \d+ of the image, which has only 400000\. Copy the image again/,
  );
});
