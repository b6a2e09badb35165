import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { codeOf, messageOf } from '../../errors.js';
import { ImageError } from '../errors.js';
import { readPackaged, type BootFiles } from './boot-files.js';

/** A file below EFI/BOOT, where firmware and shim look for it. */
export interface EfiFile {
  readonly name: string;
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
    ].map(async ({ name, file }) => ({ name, bytes: await readPackaged(file) })),
  );
}

/**
 * A FAT image holding `files` in EFI/BOOT: the EFI system partition of an image. mtools writes it, without root; the
 * same files and date give the same bytes.
 */
export async function makeEfiImage(files: readonly EfiFile[], date: Date, tempDir: string): Promise<Buffer> {
  const directory = await mkdtemp(join(tempDir, 'rackboot-efi-'));
  try {
    const image = join(directory, 'efiboot.img');
    await writeFile(image, '');
    await truncate(image, imageSize(files));
    const mtools = async (program: string, ...args: string[]): Promise<void> => {
      await runMtools(program, ['-i', image, ...args], date);
    };
    await mtools('mformat', '-N', '52424f54', '-v', 'EFIBOOT', '::');
    await mtools('mmd', '::/EFI', '::/EFI/BOOT');
    for (const { name, bytes } of files) {
      const source = join(directory, name);
      await writeFile(source, bytes);
      await mtools('mcopy', source, `::/EFI/BOOT/${name}`);
    }
    return await readFile(image);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function imageSize(files: readonly EfiFile[]): number {
  const content = files.reduce(
    (sum, { bytes }) => sum + Math.ceil(bytes.length / CLUSTER) * CLUSTER,
    OVERHEAD,
  );
  return Math.ceil(content / MIB) * MIB;
}

async function runMtools(program: string, args: readonly string[], date: Date): Promise<void> {
  try {
    await execa(program, args, {
      stdin: 'ignore',
      timeout: 60_000,
      env: {
        SOURCE_DATE_EPOCH: String(Math.floor(date.getTime() / 1000)),
        TZ: 'UTC',
        LC_ALL: 'C.UTF-8',
        MTOOLSRC: '/dev/null',
      },
    });
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
