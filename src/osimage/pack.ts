import path from 'node:path';
import { archiveMap, encodeDescriptor, type ArchiveDescriptor } from '../image/archive.js';
import { loadEntries, type PlacedEntry } from '../image/archive-index.js';
import type { ArchivePath } from '../image/cpio/path.js';
import { tailOfPart } from '../image/parts.js';
import { zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { gatherEntries } from '../image/unpacked/gather.js';
import { packPart } from '../image/unpacked/pack.js';
import { packTar } from '../image/unpacked/pack-tar.js';
import { placeEntries } from '../image/unpacked/placement.js';
import type { UnpackRecord } from '../image/unpacked/record.js';
import type { WholeCodec } from '../image/whole/codecs.js';
import { encodeMap } from '../store/extents.js';
import type { Store } from '../store/records.js';
import type { BlobReader, BlobWriter } from '../store/types.js';
import {
  buildGeneration,
  capabilityNote,
  mainArchive,
  type BuildResult,
  type CurrentGeneration,
} from './build.js';
import { OsimageError } from './errors.js';
import { manifestOf } from './manifest.js';
import type { GenerationInputs, GenerationManifest } from './types.js';
import {
  choosePart,
  descriptorOf,
  readRecord,
  recordFileOf,
  type ArchiveChoice,
} from './unpacked-directory.js';

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
  let lost: ArchivePath[] = [];
  const result = await buildGeneration(store, {
    osimage: request.osimage,
    note: `pack ${request.directory}${request.compress === undefined ? '' : ` --compress ${request.compress}`}`,
    async change(current, writer) {
      counts = zeroCounts();
      lost = [];
      const tools = {
        blobs: store.blobs,
        writer,
        counts,
        onCapabilityLost: (at: ArchivePath) => lost.push(at),
      };
      return packInputs(store, tools, current, { ...request, directory }, record);
    },
  });
  const notes = [...result.notes, ...lost.map(capabilityNote)];
  return { ...result, counts, notes, recordFile: record === undefined ? undefined : recordFile };
}

interface PackTools {
  readonly blobs: BlobReader;
  readonly writer: BlobWriter;
  readonly counts: SegmentCounts;
  readonly onCapabilityLost: (path: ArchivePath) => void;
}

async function packInputs(
  store: Store,
  tools: PackTools,
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
  const base = await unpackedBase(store, record);
  const packed = await packDirectory(request, record, { part, current, base }, tools);
  if (packed === current || areServedAlike(packed, current)) return inputs;
  const descriptor = await tools.writer.put(encodeDescriptor(packed));
  return {
    ...inputs,
    packed: {
      ...inputs.packed,
      [archive]: { descriptor, layers: (origin?.inputs ?? inputs).layers.map(({ digest }) => digest) },
    },
    edits: inputs.edits.filter((edit) => edit.archive !== archive),
  };
}

interface PackPlace {
  readonly part: number;
  readonly current: ArchiveDescriptor;
  readonly base: readonly PlacedEntry[]; // what the directory was unpacked from
}

async function packDirectory(
  { directory, compress }: PackRequest,
  record: UnpackRecord | undefined,
  { part, current, base }: PackPlace,
  tools: PackTools,
): Promise<ArchiveDescriptor> {
  const target = { part, compress };
  const all = { ...tools, earlier: [current] };
  const gathered = await gatherEntries(directory, { placed: placeEntries(base), record });
  return current.frames[tailOfPart(current, part).frame]?.format === 'tar'
    ? packTar(current, await entriesOf(current, part, tools.blobs), gathered, target, all)
    : packPart(current, gathered, target, all);
}

async function entriesOf(
  descriptor: ArchiveDescriptor,
  part: number,
  blobs: BlobReader,
): Promise<PlacedEntry[]> {
  return (await loadEntries(descriptor, blobs)).filter((entry) => entry.archive === part - 1);
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
async function unpackedBase(store: Store, record: UnpackRecord | undefined): Promise<PlacedEntry[]> {
  if (record === undefined) return [];
  const { osimage, generation, archive, part } = record.origin;
  const origin = await store.osimages.generation(osimage, generation);
  if (origin === undefined) return [];
  return entriesOf(await descriptorOf(store, manifestOf(origin), archive), part, store.blobs);
}

/** Whether two archive files are served as the same bytes, by the blobs that they are made of. */
const areServedAlike = (a: ArchiveDescriptor, b: ArchiveDescriptor): boolean =>
  encodeMap(archiveMap(a)).equals(encodeMap(archiveMap(b)));
