import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../errors.js';
import { decodeDescriptor, encodeDescriptor, type ArchiveDescriptor } from '../image/archive.js';
import { FrameReader, loadEntries } from '../image/archive-index.js';
import { ImageError } from '../image/errors.js';
import { tailsOf } from '../image/parts.js';
import { zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { ArchiveTree } from '../image/tree.js';
import { gatherEntries, type GatherBase } from '../image/unpacked/gather.js';
import { packPart } from '../image/unpacked/pack.js';
import { placeEntries } from '../image/unpacked/placement.js';
import { decodeRecord, encodeRecord, type UnpackRecord } from '../image/unpacked/record.js';
import { unpackInto, type Unpacked } from '../image/unpacked/unpack.js';
import type { WholeCodec } from '../image/whole/codecs.js';
import { readBlob } from '../store/extents.js';
import type { GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { buildGeneration, mainArchive, type BuildResult, type CurrentGeneration } from './build.js';
import { archiveDigest } from './contents.js';
import { OsimageError } from './errors.js';
import { findGeneration } from './find.js';
import { manifestOf } from './manifest.js';
import type { GenerationInputs, GenerationManifest } from './types.js';

/** Which archive of a generation is meant. */
export interface ArchiveChoice {
  readonly archive?: string; // by default that of the default boot entry
  readonly part?: number; // may be left out where there is one
}

/** What `image unpack` made. */
export interface UnpackResult extends Unpacked {
  readonly record: GenerationRecord;
  readonly recordFile: string;
}

/** The file beside an unpacked directory that keeps what the directory cannot. */
export function recordFileOf(directory: string): string {
  return `${path.resolve(directory)}.mtree`;
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
  const entries = (await loadEntries(descriptor, store.blobs)).filter((entry) => entry.archive === part - 1);
  const tree = new ArchiveTree(entries);
  const frames = descriptor.frames.map((frame) => new FrameReader(frame, store.blobs));
  const placed = placeEntries(entries);
  const unpacked = await unpackInto(path.resolve(directory), placed, {
    privileged,
    read(entry) {
      const { frame, dataOffset, header } = tree.dataOf(entry);
      const reader = frames[frame];
      if (reader === undefined) throw new RangeError(`no frame ${frame}`);
      return reader.read(dataOffset, dataOffset + header.size);
    },
  });
  const owners = privileged ? 'disk' : 'record';
  const origin = { osimage: record.osimage, generation: record.id, archive, part, owners } as const;
  await writeFile(recordFile, encodeRecord(origin, placed), { encoding: 'latin1', flag: 'wx' });
  return { ...unpacked, record, recordFile };
}

/** What `image pack` is asked for. */
export interface PackRequest extends ArchiveChoice {
  readonly osimage: string;
  readonly directory: string;
  readonly compress?: WholeCodec;
  readonly discardEdits?: boolean; // take the directory although the image was changed since it was unpacked
}

/** What `image pack` made: `counts` is what packing cost. */
export interface PackResult extends BuildResult {
  readonly recordFile: string | undefined; // the record that was read
}

/** Publishes a generation whose archive is made of `directory`. Throws ImageError, OsimageError, StoreError. */
export async function packOsimage(store: Store, request: PackRequest): Promise<PackResult> {
  const directory = path.resolve(request.directory);
  const recordFile = recordFileOf(directory);
  const record = await readRecord(recordFile);
  let counts = zeroCounts();
  const result = await buildGeneration(store, {
    osimage: request.osimage,
    note: `pack ${request.directory}${request.compress === undefined ? '' : ` --compress ${request.compress}`}`,
    async change(current, writer) {
      counts = zeroCounts();
      return packInputs(store, writer, counts, current, { ...request, directory }, record);
    },
  });
  return { ...result, counts, recordFile: record === undefined ? undefined : recordFile };
}

async function packInputs(
  store: Store,
  writer: BlobWriter,
  counts: SegmentCounts,
  { manifest }: CurrentGeneration,
  request: PackRequest,
  record: UnpackRecord | undefined,
): Promise<GenerationInputs> {
  const { inputs } = manifest;
  const archive = request.archive ?? record?.origin.archive ?? mainArchive(manifest);
  const origin = await originOf(store, request.osimage, record);
  if (origin !== undefined && request.discardEdits !== true)
    requireUnchanged(request, origin, inputs, archive);
  const current = await descriptorOf(store, manifest, archive);
  const part = choosePart(current, archive, request.part ?? record?.origin.part);
  const entries = await gatherEntries(request.directory, await gatherBase(store, record));
  const target = { part, compress: request.compress };
  const tools = { blobs: store.blobs, writer, counts, earlier: [current] };
  const packed = await packPart(current, entries, target, tools);
  if (packed === current || haveSameBytes(packed, current)) return inputs;
  const descriptor = await writer.put(encodeDescriptor(packed));
  return {
    ...inputs,
    packed: {
      ...inputs.packed,
      [archive]: { descriptor, layers: (origin?.inputs ?? inputs).layers.map(({ digest }) => digest) },
    },
    edits: inputs.edits.filter((edit) => edit.archive !== archive),
  };
}

/** The generation of the same osimage that the directory was unpacked from; undefined when it is not known any more. */
async function originOf(
  store: Store,
  osimage: string,
  record: UnpackRecord | undefined,
): Promise<GenerationManifest | undefined> {
  if (record?.origin.osimage !== osimage) return undefined;
  const origin = await store.osimages.generation(record.origin.osimage, record.origin.generation);
  return origin === undefined ? undefined : manifestOf(origin);
}

/**
 * Throws OsimageError STALE_DIRECTORY when packing would lose what came into the archive after it was unpacked. A
 * directory may be packed again and again: what an earlier packing left is no loss.
 */
function requireUnchanged(
  { osimage, directory }: PackRequest,
  origin: GenerationManifest,
  now: GenerationInputs,
  archive: string,
): void {
  const digests = (layers: GenerationInputs['layers']): string => layers.map(({ digest }) => digest).join();
  const edits = now.edits.filter((edit) => edit.archive === archive);
  const before = origin.inputs.edits.filter((edit) => edit.archive === archive);
  const isPacked = now.packed?.[archive] !== undefined && edits.length === 0;
  const isSame = isPacked || JSON.stringify(edits) === JSON.stringify(before);
  if (isSame && digests(now.layers) === digests(origin.inputs.layers)) return;
  throw new OsimageError(
    'STALE_DIRECTORY',
    `${directory} was unpacked before ${osimage} was changed, and packing it would undo that; unpack again and move your changes there, or give --discard-edits`,
  );
}

/** What the directory was unpacked from, as far as it still is in the store. */
async function gatherBase(store: Store, record: UnpackRecord | undefined): Promise<GatherBase> {
  if (record === undefined) return { placed: new Map(), record };
  const { osimage, generation, archive, part } = record.origin;
  const origin = await store.osimages.generation(osimage, generation);
  if (origin === undefined) return { placed: new Map(), record };
  const descriptor = await descriptorOf(store, manifestOf(origin), archive);
  const entries = (await loadEntries(descriptor, store.blobs)).filter((entry) => entry.archive === part - 1);
  return { placed: placeEntries(entries), record };
}

async function descriptorOf(
  store: Store,
  manifest: GenerationManifest,
  archive: string,
): Promise<ArchiveDescriptor> {
  return decodeDescriptor(await readBlob(store.blobs, archiveDigest(manifest, archive)));
}

function choosePart(descriptor: ArchiveDescriptor, archive: string, part: number | undefined): number {
  const { length } = tailsOf(descriptor);
  if (part !== undefined && part <= length) return part;
  if (part === undefined && length === 1) return 1;
  throw new ImageError(
    'NO_SUCH_PART',
    `${archive} is made of ${length} archives; say which with --part 1 to --part ${length}, list them with: rackboot image parts`,
  );
}

async function readRecord(file: string): Promise<UnpackRecord | undefined> {
  const text = await readFile(file, 'latin1').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new ImageError(
      'UNREADABLE',
      `${file}: cannot be read (${codeOf(error) ?? 'unknown error'}); give this user the right to`,
    );
  });
  return text === undefined ? undefined : decodeRecord(text, file);
}

/** Whether two archive files are served with the same bytes, by the blobs that they are made of. */
function haveSameBytes(a: ArchiveDescriptor, b: ArchiveDescriptor): boolean {
  const outline = ({ frames }: ArchiveDescriptor): string =>
    JSON.stringify(
      frames.map(({ codec, prologue, segments, whole }) => [
        codec,
        prologue.toString('hex'),
        segments.map(({ blob }) => blob),
        whole?.codec,
        whole?.streams,
      ]),
    );
  return outline(a) === outline(b);
}
