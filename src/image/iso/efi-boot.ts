import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { execa } from 'execa';
import { codeOf, messageOf } from '../../errors.js';
import { ImageError } from '../errors.js';
import { readPackaged, type BootFiles } from './boot-files.js';
import { withScratch } from './staging.js';

/** A file of the EFI system partition. */
export interface EfiFile {
  readonly path: string; // `EFI/BOOT/BOOTX64.EFI`
  readonly bytes: Buffer;
}

const CLUSTER = 4096; // bytes, the largest that mformat chooses for images of a few MiB
const OVERHEAD = 256 * 1024; // boot sector, two FATs, root directory
const MIB = 1024 * 1024;

/** The chain that firmware starts under Secure Boot: shim as BOOTX64.EFI, then GRUB. */
export async function readEfiFiles(files: BootFiles): Promise<EfiFile[]> {
  return Promise.all(
    [
      { name: 'BOOTX64.EFI', file: files.shim },
      { name: 'grubx64.efi', file: files.grub },
      { name: 'mmx64.efi', file: files.mokManager },
    ].map(async ({ name, file }) => ({ path: `EFI/BOOT/${name}`, bytes: await readPackaged(file) })),
  );
}

/** A FAT image holding `files`. mtools writes it, without root; the same files and date give the same bytes. */
export async function makeEfiImage(files: readonly EfiFile[], date: Date, tempDir: string): Promise<Buffer> {
  return withScratch(tempDir, async (directory) => {
    const image = join(directory, 'efiboot.img');
    await writeFile(image, '');
    await truncate(image, imageSize(files));
    await runMtools('mformat', ['-i', image, '-N', '52424f54', '-v', 'EFIBOOT', '::'], date);
    const directories = new Set(files.flatMap(({ path }) => parentsOf(path)));
    if (directories.size > 0)
      await runMtools('mmd', ['-i', image, ...[...directories].map((path) => `::/${path}`)], date);
    for (const file of files) await copyIn(image, file, directory, date);
    return readFile(image);
  });
}

/**
 * The FAT image `original` with `menu` in place of every GRUB menu (`grub….cfg`) that it holds; nothing else changes in
 * it. Where there is no room left, its files are put into a larger image. Throws ImageError.
 */
export async function withGrubMenus(
  original: Buffer,
  menu: string,
  date: Date,
  tempDir: string,
): Promise<Buffer> {
  return withScratch(tempDir, async (directory) => {
    const image = join(directory, 'efiboot.img');
    await writeFile(image, original);
    const paths = await listFiles(image, date);
    const menus = paths.filter((path) => GRUB_MENU.test(path));
    const bytes = Buffer.from(menu);
    try {
      for (const path of menus) await copyIn(image, { path, bytes }, directory, date);
      return await readFile(image);
    } catch (error) {
      if (!(error instanceof ImageError) || !/disk full/i.test(error.message)) throw error;
    }
    await writeFile(image, original);
    const files: EfiFile[] = [];
    for (const path of paths) {
      if (menus.includes(path)) files.push({ path, bytes });
      else {
        const copy = join(directory, 'copy');
        await runMtools('mcopy', ['-n', '-o', '-i', image, `::/${path}`, copy], date);
        files.push({ path, bytes: await readFile(copy) });
      }
    }
    return makeEfiImage(files, date, tempDir);
  });
}

const GRUB_MENU = /(^|\/)grub[^/]*\.cfg$/i;

/** The paths of all files in a FAT image. */
async function listFiles(image: string, date: Date): Promise<string[]> {
  const listing = await runMtools('mdir', ['-/', '-b', '-a', '-i', image, '::'], date);
  return listing
    .split('\n')
    .map((line) => line.replace(/^::\//, '').trim())
    .filter((path) => path !== '' && !path.endsWith('/'));
}

async function copyIn(image: string, { path, bytes }: EfiFile, directory: string, date: Date): Promise<void> {
  const source = join(directory, 'file');
  await writeFile(source, bytes);
  await runMtools('mcopy', ['-o', '-i', image, source, `::/${path}`], date);
}

function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let above = posix.dirname(path); above !== '.'; above = posix.dirname(above)) parents.unshift(above);
  return parents;
}

function imageSize(files: readonly EfiFile[]): number {
  const content = files.reduce(
    (sum, { bytes }) => sum + Math.ceil(bytes.length / CLUSTER) * CLUSTER,
    OVERHEAD,
  );
  return Math.ceil(content / MIB) * MIB;
}

async function runMtools(program: string, args: readonly string[], date: Date): Promise<string> {
  try {
    const { stdout } = await execa(program, args, {
      stdin: 'ignore',
      timeout: 60_000,
      env: {
        SOURCE_DATE_EPOCH: String(Math.floor(date.getTime() / 1000)),
        TZ: 'UTC',
        LC_ALL: 'C.UTF-8',
        MTOOLSRC: '/dev/null',
      },
    });
    return stdout;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new ImageError(
        'MISSING_TOOL',
        `${program} is missing, and an image that boots on UEFI needs it. Install it: apt-get install mtools`,
        { cause: error },
      );
    }
    throw new ImageError('TOOL_FAILED', `${program} could not make the EFI image: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
