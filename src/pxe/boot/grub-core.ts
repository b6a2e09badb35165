import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { codeOf, messageOf } from '../../errors.js';
import { BootError } from './errors.js';
import { grubHttpRoot } from './grub-paths.js';
import { fillLoaderTemplate } from './loader-templates.js';

/** The kinds of firmware that a GRUB of ours is made for, as grub-mkstandalone names them. */
export type CoreFormat = 'x86_64-efi';

/** The names under which they are handed out. */
export const CORE_FILES: Readonly<Record<CoreFormat, string>> = { 'x86_64-efi': 'core-x64.efi' };

/** What they hold: to fetch, to decide, to load. No disks: GRUB is the network's here. */
const MODULES = [
  ...['normal', 'configfile', 'echo', 'test', 'true', 'regexp', 'sleep', 'minicmd', 'reboot', 'halt'],
  ...['net', 'efinet', 'http', 'tftp', 'all_video'],
  ...['linux', 'chain', 'multiboot2', 'gzio', 'boot'],
];

const PATIENCE = 60_000; // ms

/**
 * A GRUB that fetches by HTTP and asks the server at `serverUrl` what to do until it is told, as EFI program. Debian’s
 * own images are made for disks or speak TFTP only, so grub-mkstandalone makes one of the packaged modules. Throws
 * BootError NO_LOADER, BAD_URL.
 */
export async function makeGrubCore(format: CoreFormat, serverUrl: string): Promise<Buffer> {
  const script = fillLoaderTemplate('grub/core.liquid', { script: `${grubHttpRoot(serverUrl)}/grub.cfg` });
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-grub-'));
  const [config, core] = [join(directory, 'grub.cfg'), join(directory, 'core.efi')];
  try {
    await writeFile(config, script);
    await execa(
      'grub-mkstandalone',
      [
        ...['--format', format, '--output', core, '--modules', MODULES.join(' ')],
        ...['--install-modules', '', '--fonts', '', '--locales', '', '--themes', ''],
        `boot/grub/grub.cfg=${config}`,
      ],
      { stdin: 'ignore', timeout: PATIENCE, env: { LC_ALL: 'C.UTF-8', SOURCE_DATE_EPOCH: '0' } },
    );
    return await readFile(core);
  } catch (error) {
    throw new BootError(
      'NO_LOADER',
      codeOf(error) === 'ENOENT'
        ? `grub-mkstandalone is missing, and ${CORE_FILES[format]} is made with it; install it: apt-get install grub-common grub-efi-amd64-bin`
        : `grub-mkstandalone could not make ${CORE_FILES[format]}: ${messageOf(error)}; see that grub-efi-amd64-bin is installed`,
      { cause: error },
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
