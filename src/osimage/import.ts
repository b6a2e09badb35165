import type { UnpackLimits } from '../image/unpack-limits.js';
import type { Store } from '../store/records.js';
import { openBundle } from './bundle/open.js';
import { importBundle } from './bundle/import.js';
import { OsimageError } from './errors.js';
import { recogniseMedia } from './families.js';
import { brokenRepositories } from './family/broken-repositories.js';
import type { MediaHints } from './family/layout.js';
import { checkName, requireFree } from './find.js';
import { publishImport, type ImportResult } from './publish-import.js';
import type { RemoteOptions } from './remote.js';
import { nameOf, openLocalFile, openSource } from './source/open-source.js';
import type { Source } from './source/source.js';
import type { Family } from './types.js';

export type { ImportResult } from './publish-import.js';

export interface ImportRequest {
  readonly source: string; // a directory, an ISO, an archive or a bundle, a file:// URL of one, or USER@HOST:/BUNDLE
  readonly name?: string; // a bundle brings one
  readonly family?: Family;
  readonly kernel?: string; // its path inside the media; for an archive alone, a local file
  readonly initrd?: string; // its path inside the media
  readonly profile?: string; // of a bundle of xCAT's: what its profile is to be called
  readonly postscripts?: readonly string[]; // nodes that get a bundle's postscripts
  readonly limits?: UnpackLimits;
  readonly remote?: RemoteOptions;
  /** Called as source bytes are read. */
  readonly onProgress?: (file: string, done: number, total: number) => void;
}

/**
 * Makes an osimage of vendor media or of a bundle: reads every file once, stores it, and publishes the first generation.
 * Throws OsimageError, ImageError (with the file's name), SshError and StoreError; then nothing is visible of it.
 */
export async function importOsimage(store: Store, request: ImportRequest): Promise<ImportResult> {
  if (request.name !== undefined) await requireFree(store, checkName(request.name));
  const bundle = await openBundle(request.source, request.remote);
  if (bundle !== undefined) return importBundle(store, bundle, request);
  const { name, profile } = request;
  const alone = request.kernel !== undefined || (request.family ?? 'xcat') !== 'xcat';
  if (name === undefined) {
    await (await openSource(request.source, alone)).close(); // says what is wrong with it, if anything is
    throw new OsimageError(
      'BAD_NAME',
      `${nameOf(request.source)}: no bundle, which would bring its osimage's name; give it one with --name`,
    );
  }
  if (profile !== undefined) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${nameOf(request.source)}: no bundle of xCAT's, whose profile could be renamed; leave --profile out`,
    );
  }
  if (request.postscripts !== undefined) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${nameOf(request.source)}: no bundle, which could bring postscripts; leave --postscripts out`,
    );
  }
  const source = await openSource(request.source, alone);
  try {
    const layout = await recogniseMedia(name, source, await hintsOf(source, request));
    const notes = [...source.notes, ...layout.notes, ...(await brokenRepositories(layout.tree))];
    const from = nameOf(request.source);
    return await publishImport(store, { name, from, layout: { ...layout, notes } }, request);
  } finally {
    await source.close();
  }
}

/** A lone archive's kernel is a file beside it; any other's is inside the media. */
async function hintsOf(source: Source, { family, kernel, initrd }: ImportRequest): Promise<MediaHints> {
  return {
    ...(family === undefined ? {} : { family }),
    ...(kernel === undefined
      ? {}
      : { kernel: source.kind === 'archive' ? await openLocalFile(kernel) : kernel }),
    ...(initrd === undefined ? {} : { archive: initrd }),
  };
}
