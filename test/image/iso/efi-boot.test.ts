import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { makeEfiImage, withGrubMenus } from '../../../src/image/iso/efi-boot.js';
import { counterpart, tempDir } from './counterparts.js';

const date = new Date('2024-02-29T12:34:56Z');

async function listing(t: ExecutionContext, image: Buffer): Promise<Map<string, string>> {
  const file = join(await tempDir(t), 'image');
  await writeFile(file, image);
  const paths = (await counterpart('mdir', '-/', '-b', '-i', file, '::')).toString().split('\n');
  const found = new Map<string, string>();
  for (const path of paths.filter((name) => name !== '' && !name.endsWith('/')))
    found.set(path, (await counterpart('mcopy', '-i', file, path, '-')).toString('latin1'));
  return found;
}

const files = [
  { path: 'EFI/BOOT/BOOTX64.EFI', bytes: Buffer.alloc(900_000, 'GRUB ') },
  { path: 'EFI/BOOT/grub.cfg', bytes: Buffer.from('one') },
  { path: 'EFI/xenserver/grub-usb.cfg', bytes: Buffer.from('two') },
  { path: 'EFI/xenserver/grub.conf', bytes: Buffer.from('three') },
];

test('GRUB’s menus are replaced wherever they are, and nothing else is', async (t) => {
  const dir = await tempDir(t);
  const image = await makeEfiImage(files, date, dir);
  const changed = await withGrubMenus(image, 'menu\n', date, dir);
  t.is(changed.length, image.length);
  const [before, after] = [await listing(t, image), await listing(t, changed)];
  const wanted = new Map(before)
    .set('::/EFI/BOOT/grub.cfg', 'menu\n')
    .set('::/EFI/xenserver/grub-usb.cfg', 'menu\n');
  t.deepEqual(after, wanted);
  t.true(changed.equals(await withGrubMenus(image, 'menu\n', date, dir)), 'the same bytes again');
});

test('an image without room for the menu becomes a larger one', async (t) => {
  const dir = await tempDir(t);
  const full = await makeEfiImage([...files, { path: 'fill', bytes: Buffer.alloc(880_000, 'x') }], date, dir);
  const menu = 'a long menu\n'.repeat(100_000);
  const changed = await withGrubMenus(full, menu, date, dir);
  t.true(changed.length > full.length);
  const after = await listing(t, changed);
  t.is(after.get('::/EFI/BOOT/grub.cfg'), menu);
  t.is(after.get('::/EFI/BOOT/BOOTX64.EFI'), files[0]!.bytes.toString('latin1'));
  t.is(after.get('::/fill')?.length, 880_000);
});

test('what is no FAT image is one error', async (t) => {
  await t.throwsAsync(withGrubMenus(Buffer.alloc(100_000, 'no FAT'), '', date, await tempDir(t)), {
    name: 'ImageError',
    message: /could not make the EFI image/,
  });
});
