import { archiveMap, decodeDescriptor } from '../image/archive.js';
import { collect } from '../image/chunks.js';
import { pathFromText } from '../image/cpio/path.js';
import { contentOf } from '../image/edit.js';
import { codeOf } from '../errors.js';
import { findNode, readNode, type IsoImage } from '../image/iso/reader.js';
import { isoContents } from '../image/nested/iso.js';
import { insideOf, lookInside } from '../image/nested/open.js';
import { zeroCounts } from '../image/segment-writer.js';
import { spliceArchive } from '../image/splice.js';
import { readBlob, type ExtentMap } from '../store/extents.js';
import type { Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { mainArchive } from './main-archive.js';
import { archiveDigest, readFileOf } from './contents.js';
import { OsimageError } from './errors.js';
import { isoFiles } from './family/layout.js';
import { ANSWER_FILE } from './iso-places.js';
import type { Family, GenerationManifest } from './types.js';

/** What the variable `answerfile` says for it; isoArguments has each family's installer find it. */
export const ANSWER_URL = `file:///${ANSWER_FILE}`;

/** Where a family's installer can read its answer file from before it has a network: its disc, or its own archive. */
export function answerPlace(family: Family): 'disc' | 'archive' {
  return family === 'el' ? 'disc' : 'archive';
}

/**
 * The archive that layers change with `answer` in it, readable by root alone. `writer` need only keep what it is given.
 * Throws OsimageError BAD_SOURCE where the archive is compressed as a whole.
 */
export async function archiveWithAnswer(
  store: Store,
  writer: BlobWriter,
  manifest: GenerationManifest,
  answer: string,
): Promise<{ readonly path: string; readonly map: ExtentMap }> {
  const path = mainArchive(manifest);
  const base = decodeDescriptor(await readBlob(store.blobs, archiveDigest(manifest, path)));
  const whole = base.frames.find((frame) => frame.whole !== undefined)?.whole;
  if (whole !== undefined) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${path} is compressed with ${whole.codec}, as a whole, and an answer file can be put into gzip, bzip2 and plain archives only; leave --answerfile out, or put the file in with a layer`,
    );
  }
  const descriptor = await spliceArchive(
    base,
    [
      {
        op: 'put',
        path: pathFromText(`/${ANSWER_FILE}`),
        mode: 0o100600,
        uid: 0,
        gid: 0,
        content: contentOf(Buffer.from(answer)),
        from: 'the answer file',
      },
    ],
    { blobs: store.blobs, writer, counts: zeroCounts(), mtime: manifest.inputs.epoch, earlier: [] },
  );
  return { path, map: archiveMap(descriptor) };
}

/** The archive that an answer file is put into, by its path on the ISO; none where the disc has the file. */
export function answeringArchive(manifest: GenerationManifest): string | undefined {
  if (answerPlace(manifest.family) === 'disc') return undefined;
  return `${isoFiles(manifest.family)}/${mainArchive(manifest)}`.replace(/^\//, '');
}

/** The answer file that an ISO of the generation holds; `undefined` when there is none. Throws ImageError for a damaged ISO. */
export async function answerOnIso(
  image: IsoImage,
  manifest: GenerationManifest,
): Promise<string | undefined> {
  try {
    const archive = answeringArchive(manifest);
    if (archive === undefined)
      return (await collect(readNode(image, findNode(image, ANSWER_FILE)))).toString('utf8');
    const outside = insideOf({ contents: isoContents(image), where: 'the ISO' });
    const found = await lookInside(outside, `${archive}:${ANSWER_FILE}`, async ({ contents, path }) =>
      (await collect(readFileOf(contents, path).data)).toString('utf8'),
    );
    return found?.result;
  } catch (error) {
    if (codeOf(error) === 'NO_SUCH_ENTRY') return undefined;
    throw error;
  }
}
