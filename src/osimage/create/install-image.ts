import { createWriteStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { archiveMap } from '../../image/archive.js';
import { pathFromText, joinPath } from '../../image/cpio/path.js';
import { S_IFREG } from '../../image/cpio/header.js';
import { blobContent, type Edit } from '../../image/edit.js';
import { readLocalFile } from '../../image/local-file.js';
import { compressWhole } from '../../image/whole/codecs.js';
import { output } from '../../repo/program.js';
import { readRange } from '../../store/extents.js';
import { ScratchBlobs } from '../../store/scratch-blobs.js';
import type { InstalledRoot } from './installed-root.js';
import { RootArchive, type Times } from './root-archive.js';
import {
  brandingLinks,
  initEdits,
  moduleEdits,
  removals,
  serviceEdits,
  shadowEdits,
  templateEdits,
} from './root-edits.js';
import { datedHeaders, type RpmHeader } from './rpm-headers.js';

const DATABASE = pathFromText('/var/lib/rpm');

/** What an installer's archive is made of. */
export interface InstallImageRequest {
  readonly root: InstalledRoot;
  readonly templates: readonly string[]; // directories, lowest first
  readonly times: Times;
  readonly work: string; // scratch
}

/**
 * Writes the archive of an installer to `file`: newc, bzip2. The same packages and templates give the same bytes. Throws
 * ImageError, RepoError MISSING_TOOL, OsimageError BAD_SOURCE.
 */
export async function writeInstallImage(file: string, request: InstallImageRequest): Promise<void> {
  const { root, templates, times, work } = request;
  const blobs = await ScratchBlobs.in(work);
  try {
    const archive = await RootArchive.of(root, times, blobs);
    archive.change(removals(archive.image));
    archive.change(await databaseEdits(root.headers, times.epoch, work, blobs));
    archive.change(initEdits(archive.image));
    for (const directory of templates) archive.change(await templateEdits(directory, blobs));
    archive.change(await moduleEdits(archive.image));
    archive.change(brandingLinks(archive.image));
    archive.change(await serviceEdits(archive.image));
    archive.change(await shadowEdits(archive.image, times.epoch));
    const map = archiveMap(await archive.finish(times.epoch));
    await pipeline(compressWhole('bzip2', readRange(map, blobs, 0, map.size)), createWriteStream(file));
  } finally {
    await blobs.close();
  }
}

/** The database of the packages, made anew: the one that rpm left says when they were installed. */
async function databaseEdits(
  headers: readonly RpmHeader[],
  epoch: number,
  work: string,
  blobs: ScratchBlobs,
): Promise<Edit[]> {
  const directory = path.join(work, 'rpmdb');
  await mkdir(directory);
  const input = datedHeaders(headers, epoch);
  await output({
    ...{ program: 'rpmdb', args: ['--dbpath', directory, '--importdb'], package: 'rpm', input },
    env: { SOURCE_DATE_EPOCH: String(epoch) },
  });
  const edits: Edit[] = [];
  for (const name of (await readdir(directory)).sort()) {
    const { digest, size } = await blobs.putStream(readLocalFile(path.join(directory, name)));
    if (size === 0 || name.endsWith('-shm')) continue; // a lock, and what sqlite shares between processes
    edits.push({
      ...{ op: 'put', path: joinPath(DATABASE, name), mode: S_IFREG | 0o644, uid: 0, gid: 0 },
      ...{ content: blobContent(digest, size, blobs), from: 'rpm database' },
    });
  }
  return edits;
}
