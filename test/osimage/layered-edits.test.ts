import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { readLayer } from '../../src/image/layer-read.js';
import { ImageError } from '../../src/image/errors.js';
import { layeredEdits, type NamedSnapshot } from '../../src/osimage/layered-edits.js';
import type { Artifact } from '../../src/osimage/types.js';
import { sha256 } from '../../src/store/digest.js';
import { encodeMap } from '../../src/store/extents.js';
import { DIR } from '../image/archive-models.js';
import { compileModule, KERNEL, layOut } from '../image/drivers/fixtures.js';
import { MemoryBlobs } from '../image/memory-blobs.js';
import { archiveBytes, item, parseArchive, type Item } from '../image/newc.js';
import { inDirectory } from '../image/programs.js';
import { plainOf, read, splice } from '../image/splicing.js';

const driver = compileModule({ exports: ['base_symbol'] });

/** The head of an x86 kernel's file that says it is of `release`. */
function kernelFile(release: string): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write('HdrS', 0x202, 'latin1');
  bytes.writeUInt16LE(0x400, 0x20e);
  bytes.write(`${release} (builder@host) #1 SMP\0`, 0x600, 'latin1');
  return bytes;
}

async function artifactOf(bytes: Buffer, blobs: MemoryBlobs): Promise<Artifact> {
  const map = encodeMap({ size: bytes.length, parts: [{ kind: 'inline', bytes }] });
  return { path: 'linux', size: bytes.length, sha256: sha256(bytes), map: await blobs.put(map) };
}

type Files = Readonly<Record<string, Buffer | string>>;

/** The plain archive that `layers` (highest first) make of `items`, booted with a kernel of `release`. */
async function build(layers: readonly Files[], items: readonly Item[], release: string): Promise<Buffer> {
  return inDirectory(async (dir) => {
    const blobs = new MemoryBlobs();
    const snapshots: NamedSnapshot[] = [];
    for (const [at, files] of layers.entries()) {
      const layer = { name: `l${at}`, dir: path.join(dir, `l${at}`) };
      await mkdir(layer.dir);
      await layOut(layer.dir, files);
      snapshots.push({ name: layer.name, snapshot: await readLayer(layer, blobs) });
    }
    const base = await read(archiveBytes(items), blobs);
    const kernels = [await artifactOf(kernelFile(release), blobs)];
    const edits = await layeredEdits(base, snapshots, kernels, blobs);
    return Buffer.concat(await plainOf(await splice(base, edits, blobs), blobs));
  });
}

const namesOf = (plain: Buffer): string[] => parseArchive(plain).items.map(({ name }) => name);
const IMAGE = [item({ name: 'etc', mode: DIR | 0o755, ino: 1 }), item({ name: 'etc/x', ino: 2 })];

test('an image without modules takes those for the kernel that it is booted with', async (t) => {
  const names = namesOf(await build([{ 'drivers/a.ko': await driver }], IMAGE, KERNEL));
  t.true(names.includes(`lib/modules/${KERNEL}/updates/a.ko`));
  for (const index of ['modules.dep', 'modules.dep.bin', 'modules.alias'])
    t.true(names.includes(`lib/modules/${KERNEL}/${index}`), index);
});

test('a kernel that a layer brings counts', async (t) => {
  const kernel = { [`overlay/lib/modules/${KERNEL}/modules.order`]: '' };
  const names = namesOf(await build([{ 'drivers/a.ko': await driver }, kernel], IMAGE, '7.0'));
  t.true(names.includes(`lib/modules/${KERNEL}/updates/a.ko`));
});

test('a higher layer takes away what a lower one put, and the indexes know', async (t) => {
  const other = await compileModule({ exports: ['other_symbol'] });
  const lower = { 'drivers/a.ko': await driver, 'drivers/b.ko': other };
  const higher = { removals: `lib/modules/${KERNEL}/updates/a.ko\n` };
  const { items } = parseArchive(await build([higher, lower], IMAGE, KERNEL));
  const dep = items.find(({ name }) => name.endsWith('/modules.dep'));
  t.is(dep?.data.toString(), 'updates/b.ko:\n');
});

test('a module for neither kernel is refused', async (t) => {
  const error = await t.throwsAsync(build([{ 'drivers/a.ko': await driver }], IMAGE, '7.0'), {
    instanceOf: ImageError,
    code: 'WRONG_KERNEL',
  });
  t.is(
    error.message,
    `layer l0: drivers/a.ko is built for kernel ${KERNEL}, the image has 7.0; get the driver for the image's kernel`,
  );
});

test('the same layers give the same bytes, whatever order a directory lists its files in', async (t) => {
  const names = Array.from({ length: 12 }, (_, at) => `drivers/m${at}.ko`);
  const alias = 'pci:v00001234d*sv*sd*bc*sc*i*';
  const modules = await Promise.all(names.map((_, at) => compileModule({ exports: [`symbol${at}`], alias })));
  const files = names.map((name, at) => [name, modules[at]!] as const);
  const one = await build([Object.fromEntries(files)], IMAGE, KERNEL);
  const other = await build([Object.fromEntries([...files].reverse())], IMAGE, KERNEL);
  t.true(one.equals(other));
});

test('firmware alone fits every kernel, and leaves the indexes alone', async (t) => {
  const names = namesOf(await build([{ 'drivers/firmware/a.bin': 'x', 'overlay/f': 'x' }], IMAGE, '7.0'));
  t.deepEqual(names.slice(2), ['f', 'lib', 'lib/firmware', 'lib/firmware/a.bin']);
});
