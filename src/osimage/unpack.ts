import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ImageError } from '../image/errors.js';
import { placeEntries } from '../image/unpacked/placement.js';
import { isTellable, markOf, type FileMarks } from '../image/unpacked/file-marks.js';
import { encodeRecord } from '../image/unpacked/record.js';
import { unpackInto, type Unpacked } from '../image/unpacked/unpack.js';
import type { GenerationRecord, Store } from '../store/records.js';
import { mainArchive } from './main-archive.js';
import { openDescriptor } from './contents.js';
import { takeBaseline } from './edit/baseline.js';
import { findGeneration } from './find.js';
import { manifestOf } from './manifest.js';
import {
  choosePart,
  descriptorOf,
  readRecord,
  recordFileOf,
  type ArchiveChoice,
} from './unpacked-directory.js';

/** What `image unpack` made. */
export interface UnpackResult extends Unpacked {
  readonly record: GenerationRecord;
  readonly recordFile: string;
}

/** Writes an archive of the generation that `reference` means into `directory`. Throws ImageError, OsimageError. */
export async function unpackOsimage(
  store: Store,
  reference: string,
  directory: string,
  choice: ArchiveChoice,
  privileged: boolean,
): Promise<UnpackResult> {
  const record = await findGeneration(store, reference);
  return store.read('image unpack', [record], () =>
    unpackGeneration(store, record, directory, choice, privileged),
  );
}

async function unpackGeneration(
  store: Store,
  record: GenerationRecord,
  directory: string,
  choice: ArchiveChoice,
  privileged: boolean,
): Promise<UnpackResult> {
  const manifest = manifestOf(record);
  const archive = choice.archive ?? mainArchive(manifest);
  const descriptor = await descriptorOf(store, manifest, archive);
  const part = choosePart(descriptor, archive, choice.part);
  const recordFile = recordFileOf(directory);
  if ((await readRecord(recordFile)) !== undefined) {
    throw new ImageError(
      'EXTRACT_FAILED',
      `${recordFile} is there already, of an earlier unpacking; remove it, or choose another directory`,
    );
  }
  const opened = await openDescriptor(descriptor, store.blobs, part);
  const placed = placeEntries(opened.entries);
  const unpacked = await unpackInto(path.resolve(directory), placed, {
    privileged,
    read: (entry) => opened.read(entry),
  });
  const owners = privileged ? 'disk' : 'record';
  const origin = { osimage: record.osimage, generation: record.id, archive, part, owners } as const;
  const marks = await marksIn(path.resolve(directory));
  await writeFile(recordFile, encodeRecord(origin, placed, marks), { encoding: 'latin1', flag: 'wx' });
  return { ...unpacked, record, recordFile };
}

/** The marks of the files in `directory`, which change with any change that comes after. */
async function marksIn(directory: string): Promise<FileMarks> {
  const beside = await mkdtemp(`${directory}.clock-`);
  try {
    const { files, at } = await takeBaseline(directory, beside);
    const tellable = [...files].filter(([, info]) => info.isFile() && isTellable(info, at));
    return new Map(tellable.map(([file, info]) => [file, markOf(info)]));
  } finally {
    await rm(beside, { recursive: true });
  }
}
