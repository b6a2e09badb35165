import { OsimageError } from './errors.js';
import type { GenerationManifest } from './types.js';

/** The archive that changes go to unless told otherwise. Throws OsimageError. */
export function mainArchive(manifest: GenerationManifest): string {
  const main = findMainArchive(manifest);
  if (main === undefined) {
    throw new OsimageError(
      'BAD_SOURCE',
      'this osimage has no archive to change: its default boot entry loads no initrd',
    );
  }
  return main;
}

/** The default boot entry's first initrd; a root image that its initrd fetches; where nothing boots, the one archive. */
export function findMainArchive({ family, boot, archives }: GenerationManifest): string | undefined {
  const [entry] = boot;
  const main = entry === undefined || family === 'xcat' ? Object.keys(archives)[0] : entry.initrds[0];
  return main !== undefined && archives[main] !== undefined ? main : undefined;
}
