import { OsimageError } from '../errors.js';
import type { ImportedFiles } from '../import-files.js';
import type { Brought } from '../publish-import.js';
import type { SourceFile } from '../source/source.js';
import type { StatedFile, Statement } from './statement.js';

/**
 * Holds what was imported against what `statement` says of it. Every file must be the one that it lists; where the
 * archive came to the same bytes as well, the generation has the id that it had. Throws OsimageError BAD_BUNDLE.
 */
export function fitting(
  { files, archive, origin }: Statement,
  stated: ReadonlyMap<SourceFile, StatedFile>,
  where: string,
): NonNullable<Brought['judge']> {
  return (imported: ImportedFiles) => {
    for (const [file, { path, sha256 }] of stated) {
      const read = imported.digests.get(file);
      if (read === undefined || read === sha256) continue;
      throw new OsimageError(
        'BAD_BUNDLE',
        `${where}: ${path} is not the file that the bundle lists (SHA-256 ${read.slice(0, 12)}…, ${sha256.slice(0, 12)}… is listed); fetch or export it again`,
      );
    }
    const wanted = files.find(({ path }) => path === archive?.path)?.sha256;
    if (imported.archive?.artifact.sha256 === wanted)
      return { notes: [], ...(origin === undefined ? {} : { origin }) };
    return {
      notes: [
        `${where}: ${archive?.path ?? ''} is compressed anew: another file than before, with the same in it`,
      ],
    };
  };
}
