import { open, copyFile, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { STORE_HEADER, storeTag } from '../../src/api/store-header.js';
import { findNode, openIso, type IsoImage } from '../../src/image/iso/reader.js';
import { fileSource } from '../../src/image/iso/source.js';
import { openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { runCommand, runSucceeding, type Outcome } from '../cli/in-process.js';
import { makeMedia } from '../cli/media.js';

interface Part {
  readonly kind: string;
  readonly path: string;
  readonly found: Readonly<Record<string, { readonly state: string }>>;
}

let parent = '';
const rackboot = (...words: string[]): Promise<Outcome> =>
  runCommand(['--site', join(parent, 'site'), ...words]);

const succeed = (...words: string[]): Promise<string> =>
  runSucceeding(['--site', join(parent, 'site'), ...words]);

test.before(async () => {
  parent = await mkdtemp(join(tmpdir(), 'rackboot-verify-'));
  const media = join(parent, 'media');
  await makeMedia(media, 200_000);
  await mkdir(join(media, 'pool'));
  await writeFile(join(media, 'pool', 'package'), 'a package\n');
  await succeed('init');
  await succeed('image', 'import', media, '--name', 'd12');
  await succeed('image', 'iso', 'd12', '-o', join(parent, 'whole.iso'));
  await succeed('image', 'iso', 'd12', '--netinstall', '-o', join(parent, 'netinstall.iso'));
  await succeed('node', 'add', 'n1', '--mac', '52:54:00:00:00:01');
  await succeed('nodeset', 'n1', 'osimage=d12');
  await succeed('image', 'iso', 'd12', '--node', 'n1', '--volume-id', 'N1', '-o', join(parent, 'n1.iso'));
});
test.after.always(() => rm(parent, { recursive: true, force: true }));

/** The parts of `iso` that verify says differ there, after `damage` was done to a copy of it. */
async function differing(
  iso: string,
  damage: (file: Awaited<ReturnType<typeof open>>, image: IsoImage) => Promise<void>,
): Promise<string[]> {
  const copy = join(await mkdtemp(join(parent, 'damaged-')), 'copy.iso');
  await copyFile(join(parent, iso), copy);
  const file = await open(copy, 'r+');
  await damage(file, await openIso(fileSource(file, (await file.stat()).size)));
  await file.close();
  const { status, out, err } = await rackboot('--json', 'image', 'verify', 'd12', '--iso', copy);
  await rm(copy);
  const parts = (JSON.parse(out || '{"artifacts":[]}') as { artifacts: Part[] }).artifacts;
  const wrong = parts.filter(({ found }) => found['iso']?.state === 'different').map(({ path }) => path);
  if ((status === 0) !== (wrong.length === 0)) throw new Error(`status ${status}: ${err}`);
  return wrong;
}

const offsetOf = (image: IsoImage, path: string): number => findNode(image, path).extents[0]?.offset ?? 0;

for (const iso of ['whole.iso', 'netinstall.iso', 'n1.iso']) {
  test(`${iso} is what it says`, async (t) => {
    t.deepEqual(await differing(iso, async () => undefined), []);
  });
}

for (const [what, length, expected] of [
  ['isolinux/isolinux.bin', 4000, '/isolinux/isolinux.bin'],
  ['boot/efiboot.img', 500_000, '/boot/efiboot.img'],
  ['isolinux/isolinux.cfg', 1, '/isolinux/isolinux.cfg'],
  ['EFI/BOOT/BOOTX64.EFI', 10, '/EFI/BOOT/BOOTX64.EFI'],
  ['boot/linux', 1, 'linux'],
  ['.disk/rackboot.json', 1, '/.disk/rackboot.json'],
] as const) {
  test(`zeros over ${what} are found and named`, async (t) => {
    const wrong = await differing('whole.iso', async (file, image) => {
      await file.write(Buffer.alloc(length), 0, length, offsetOf(image, what));
    });
    t.deepEqual(wrong, [expected]);
  });
}

for (const [what, offset, length, expected] of [
  ['boot code of the MBR', 0, 440, 'system area'],
  ['primary GPT header', 512, 92, 'system area'],
  ['publisher of the primary volume descriptor', 16 * 2048 + 318, 1, 'volume descriptors'],
] as const) {
  test(`a damaged ${what} is found and named`, async (t) => {
    const wrong = await differing('whole.iso', async (file) => {
      await file.write(Buffer.alloc(length, 'X'), 0, length, offset);
    });
    t.deepEqual(wrong, [expected]);
  });
}

test('a damaged backup GPT, a cut and an appended byte are the end', async (t) => {
  const size = async (file: Awaited<ReturnType<typeof open>>): Promise<number> => (await file.stat()).size;
  const backup = await differing('whole.iso', async (file) => {
    await file.write(Buffer.alloc(92), 0, 92, (await size(file)) - 512);
  });
  t.deepEqual(backup, ['end']);
  t.deepEqual(await differing('whole.iso', async (file) => void (await file.write('x', await size(file)))), [
    'end',
  ]);
});

test('an ISO cannot excuse itself from the tree it has', async (t) => {
  const wrong = await differing('whole.iso', async (file, image) => {
    const offset = offsetOf(image, '.disk/rackboot.json');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, offset);
    const text = buffer
      .subarray(0, bytesRead)
      .toString('latin1')
      .replace('"netinstall":false', '"netinstall":true ');
    await file.write(Buffer.from(text, 'latin1'), 0, bytesRead, offset);
    await file.write('X', offsetOf(image, 'pool/package'));
  });
  t.deepEqual(wrong.sort(), ['/.disk/rackboot.json', 'pool/package']);
});

test('the menus of a node’s ISO are covered by its disk GUID', async (t) => {
  const wrong = await differing('n1.iso', async (file, image) => {
    await file.write('X', offsetOf(image, 'boot/grub/grub.cfg') + 3);
  });
  t.true(wrong.includes('system area'), wrong.join(', '));
});

test('what an ISO leaves out is counted apart', async (t) => {
  const out = await succeed('image', 'verify', 'd12', '--iso', join(parent, 'netinstall.iso'));
  t.regex(out, /install tree: (\d+) of \1 files agree; the ISO leaves out \1 of them \(--netinstall\)/);
  const own = await succeed('image', 'verify', 'd12', '--iso', join(parent, 'n1.iso'));
  t.regex(own, /the ISO is n1’s: its menus hold tokens/);
});

test('a damaged boot catalog is found', async (t) => {
  const damaged = differing('whole.iso', async (file, image) => {
    await file.write(Buffer.alloc(20), 0, 20, offsetOf(image, 'isolinux/boot.cat'));
  });
  await t.throwsAsync(damaged, { message: /copy\.iso: The El Torito record points at a sector/ });
});

test('an ISO that ends early or is another’s is one line', async (t) => {
  const cut = join(parent, 'cut.iso');
  await copyFile(join(parent, 'whole.iso'), cut);
  await truncate(cut, 60_000);
  const { status, err } = await rackboot('image', 'verify', 'd12', '--iso', cut);
  t.is(status, 1);
  t.regex(err, /^rackboot: [^\n]*cut\.iso: [^\n]*\n$/);
});

test('a server of another site at the address of this one is not asked; this one’s is', async (t) => {
  const dir = join(parent, 'second');
  const second = (...words: string[]): Promise<Outcome> => runCommand(['--site', dir, ...words]);
  t.is((await second('init')).status, 0);
  const imported = await second('image', 'import', join(parent, 'media'), '--name', 'd12');
  t.is(imported.status, 0, imported.err);
  const store = await openStore(await openSite(dir));
  const tag = await storeTag(store);
  await store.close();
  let tagged = tag;
  const server = createServer((_request, response) =>
    response.setHeader(STORE_HEADER, tagged).end('what another site has\n'),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await writeFile(join(dir, 'rackboot.yaml'), `http: { listen: '127.0.0.1:${port}' }\n`);

  const own = await second('image', 'verify', 'd12');
  t.is(own.status, 1, 'the bytes are not those of the store');
  t.regex(own.err, /parts differ/);
  tagged = 'another';
  const other = await second('image', 'verify', 'd12');
  t.is(other.status, 0, other.err);
  t.true(other.out.includes(`as another site’s server answers at http://127.0.0.1:${port}`), other.out);
});
