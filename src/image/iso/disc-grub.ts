import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { execa } from 'execa';
import { codeOf, messageOf } from '../../errors.js';
import { ImageError } from '../errors.js';
import { GRUB_CONFIG } from './request.js';

/** What it holds: to find the disc, to show a menu, to load Linux, Xen and EFI programs. */
const MODULES = [
  ...['part_gpt', 'part_msdos', 'iso9660', 'fat', 'search', 'search_fs_file'],
  ...['normal', 'configfile', 'echo', 'test', 'true', 'minicmd', 'reboot', 'halt', 'serial', 'terminal'],
  ...['all_video', 'linux', 'chain', 'multiboot2', 'gzio', 'boot'],
];

const PATIENCE = 60_000; // milliseconds

/**
 * A GRUB, as EFI program, that shows the menu at GRUB_CONFIG of the disc that holds the file `mark`. Debian's signed one
 * cannot load Xen, as under Secure Boot nothing unsigned may start; this one does not start there. Throws ImageError.
 */
export function makeDiscGrub(mark: string, tempDir: string): Promise<Buffer> {
  const directory = posix.dirname(GRUB_CONFIG);
  // Run before there is a menu: GRUB goes on to the menu below its prefix by itself.
  const first = `search --no-floppy --file --set=root /${mark}\nset prefix=($root)/${directory}\n`;
  return makeGrub(`/${directory}`, first, tempDir);
}

/**
 * A GRUB, as EFI program, that runs the commands `first` and shows the menu grub.cfg in the directory `prefix`; one that
 * begins with `()` is on the medium that the program was started from. Throws ImageError.
 */
export async function makeGrub(prefix: string, first: string, tempDir: string): Promise<Buffer> {
  const directory = await mkdtemp(join(tempDir, 'rackboot-grub-'));
  const [config, program] = [join(directory, 'grub.cfg'), join(directory, 'grub.efi')];
  try {
    await writeFile(config, first);
    await execa(
      'grub-mkimage',
      [
        ...['--format', 'x86_64-efi', '--prefix', prefix],
        ...(first === '' ? [] : ['--config', config]),
        ...['--output', program, ...MODULES],
      ],
      { stdin: 'ignore', timeout: PATIENCE, env: { LC_ALL: 'C.UTF-8' } },
    );
    return await readFile(program);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new ImageError(
        'MISSING_TOOL',
        'grub-mkimage is missing, and an image that boots Xen on UEFI needs it. Install it: apt-get install grub-common grub-efi-amd64-bin',
        { cause: error },
      );
    }
    throw new ImageError('TOOL_FAILED', `grub-mkimage could not make a GRUB: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
