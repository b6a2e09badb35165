import { type Command, InvalidArgumentError } from 'commander';
import { mainArchive } from '../../osimage/main-archive.js';
import type { GenerationManifest } from '../../osimage/types.js';

/** Which archive of a generation a command is about. */
export interface ArchiveOptions {
  readonly archive?: string;
  readonly part?: number;
}

/** Gives `command` the options --archive and --part. */
export function addArchiveOptions(command: Command): Command {
  return command
    .option('--archive <file>', 'the archive file; by default the one the default boot entry loads')
    .option(
      '--part <number>',
      'where the file is made of several archives, just this one; list them with: image parts',
      partNumber,
    );
}

/** The archive that `options` name, as changes are recorded with it. */
export function archiveOf(
  manifest: GenerationManifest,
  { archive, part }: ArchiveOptions,
): { readonly archive: string; readonly part?: number } {
  return { archive: archive ?? mainArchive(manifest), ...(part === undefined ? {} : { part }) };
}

function partNumber(value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value)) throw new InvalidArgumentError('it must be a number from 1 on');
  return Number(value);
}
