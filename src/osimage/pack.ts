import path from 'node:path';
import { archiveMap, decodeDescriptor, encodeDescriptor, type ArchiveDescriptor } from '../image/archive.js';
import type { PlacedEntry } from '../image/archive-index.js';
import { S_IFMT, S_IFSOCK } from '../image/cpio/header.js';
import { pathToText, type ArchivePath } from '../image/cpio/path.js';
import { tailsOf } from '../image/parts.js';
import { zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { decodeMarks, encodeMarks } from '../image/unpacked/file-marks.js';
import type { GatheredEntry } from '../image/unpacked/gather.js';
import type { UnpackRecord } from '../image/unpacked/record.js';
import type { WholeCodec } from '../image/whole/codecs.js';
import { encodeMap, readBlob } from '../store/extents.js';
import type { Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { buildGeneration, type BuildResult, type CurrentGeneration } from './build.js';
import { capabilityNote } from './build-archives.js';
import { OsimageError } from './errors.js';
import { mainArchive } from './main-archive.js';
import { manifestOf } from './manifest.js';
import { entriesOf, packDirectory, type KnownState, type PackTools } from './pack-directory.js';
import { emptyArchive, formOf, inSegments, rootImageName, type PackMethod } from './pack-form.js';
import { importedName, servedName } from './served-name.js';
import type { GenerationInputs, GenerationManifest } from './types.js';
import {
  choosePart,
  descriptorOf,
  readRecord,
  recordFileOf,
  requireDirectory,
  type ArchiveChoice,
} from './unpacked-directory.js';
import { prepareRoot, type RootOptions } from './xcat/pack/prepare.js';
import { requireSynclists, withAttachedLists } from './xcat/pack/attached-lists.js';
import { rootOptions, rootWords } from './xcat/pack/root-options.js';

/** What `image pack` is asked for. */
export interface PackRequest extends ArchiveChoice {
  readonly osimage: string;
  readonly directory: string;
  readonly method?: PackMethod; // by default as the archive is
  readonly compress?: WholeCodec;
  readonly root?: Partial<RootOptions>; // what is not said is what the osimage's attributes say
  readonly reread?: boolean; // read files that are as they were at the last packing too
  readonly discardEdits?: boolean; // take the directory although the image was changed since it was unpacked
  readonly epoch?: number; // of what is made anew, seconds
}

/** What `image pack` made: `counts` is what packing cost. */
export interface PackResult extends BuildResult {
  readonly recordFile: string | undefined; // the record that was read
}

/** Publishes a generation whose archive is made of `directory`. Throws ImageError, OsimageError, StoreError. */
export async function packOsimage(store: Store, request: PackRequest): Promise<PackResult> {
  const directory = path.resolve(request.directory);
  await requireDirectory(directory);
  const recordFile = recordFileOf(directory);
  const record = await readRecord(recordFile);
  let counts = zeroCounts();
  let notes: string[] = [];
  const result = await buildGeneration(store, {
    osimage: request.osimage,
    note: noteOf(request),
    async change(current, writer) {
      counts = zeroCounts();
      notes = [];
      const task = { store, writer, counts, note: (line: string) => void notes.push(line) };
      return store.scratch((scratch) =>
        packInputs(task, current, { ...request, directory, scratch }, record),
      );
    },
  });
  const known = record === undefined ? undefined : recordFile;
  return { ...result, counts, notes: [...result.notes, ...notes], recordFile: known };
}

function noteOf({ directory, method, compress, root = {} }: PackRequest): string {
  const words = ['pack', directory];
  if (method !== undefined) words.push('--method', method);
  if (compress !== undefined) words.push('--compress', compress);
  return [...words, ...rootWords(root)].join(' ');
}

interface PackTask {
  readonly store: Store;
  readonly writer: BlobWriter;
  readonly counts: SegmentCounts;
  readonly note: (line: string) => void;
}

async function packInputs(
  { store, writer, counts, note }: PackTask,
  { manifest }: CurrentGeneration,
  request: PackRequest & { readonly scratch: string },
  record: UnpackRecord | undefined,
): Promise<GenerationInputs> {
  const { family, inputs } = manifest;
  const origin = await originOf(store, request.osimage, record);
  const base = importedName(inputs, request.archive ?? archiveOf(record, origin, manifest));
  const archive = servedName(inputs, base);
  if (origin !== undefined && request.discardEdits !== true) requireUnchanged(request, origin, inputs, base);
  const current = await descriptorOf(store, manifest, archive);
  const part = choosePart(current, archive, request.part ?? record?.origin.part);
  const { start, compress, anew } = await planForm(manifest, current, request, {
    blobs: store.blobs,
    writer,
    counts,
  });
  const tools: PackTools = {
    ...{ blobs: store.blobs, writer, counts, earlier: [current] },
    onCapabilityLost: (at: ArchivePath) => note(capabilityNote(at)),
  };
  const wanted = rootOptions(manifest, request.root ?? {});
  if (request.root?.synclists === undefined) await requireSynclists(wanted.synclists, manifest);
  const exlists = await withAttachedLists(wanted.exlists, manifest, store.blobs, request.scratch);
  const root = { ...wanted, exlists };
  const { descriptor: packed, marks } = await packDirectory(
    {
      ...{ directory: request.directory, record, start, part, compress, note },
      base: anew
        ? []
        : ((await unpackedBase(store, record)) ?? (await entriesOf(current, part, store.blobs))),
      known: request.reread === true || anew ? [] : await knownStates(store, inputs, base, record),
      prepare: (entries) =>
        prepareRoot(withoutSockets(entries, family, start, note), root, {
          osimage: request.osimage,
          stateless: family === 'xcat',
          privileged: process.getuid?.() === 0,
          ...(request.epoch === undefined ? {} : { epoch: request.epoch }),
          note,
        }),
    },
    tools,
  );
  if (packed === current || areServedAlike(packed, current)) return inputs;
  const servedAs = family === 'xcat' ? rootImageName(formOf(packed)) : base;
  const stored = {
    descriptor: await writer.put(encodeDescriptor(packed)),
    layers: (origin?.inputs ?? inputs).layers.map(({ digest }) => digest),
    ...(servedAs === base ? {} : { servedAs }),
    ...(tailsOf(packed).length === 1 ? { marks: await writer.put(encodeMarks(marks)) } : {}),
  };
  return {
    ...inputs,
    packed: { ...inputs.packed, [base]: stored },
    edits: inputs.edits.filter((edit) => edit.archive !== archive),
  };
}

/** Of a stateless image, tar has no type for sockets, which are made anew by who listens; packimage's tar leaves them too. */
function withoutSockets(
  entries: readonly GatheredEntry[],
  family: GenerationManifest['family'],
  start: ArchiveDescriptor,
  note: (line: string) => void,
): readonly GatheredEntry[] {
  if (family !== 'xcat' || formOf(start).method === 'cpio') return entries;
  return entries.filter(({ path: at, header }) => {
    const isSocket = (header.mode & S_IFMT) === S_IFSOCK;
    if (isSocket) note(`${pathToText(at)}: left out, a socket, for which tar and squashfs have no type here`);
    return !isSocket;
  });
}

/** The archive that the directory is of, by its name now: the one that it was unpacked from. */
function archiveOf(
  record: UnpackRecord | undefined,
  origin: GenerationManifest | undefined,
  manifest: GenerationManifest,
): string {
  if (record === undefined) return mainArchive(manifest);
  if (origin === undefined) return record.origin.archive;
  return servedName(manifest.inputs, importedName(origin.inputs, record.origin.archive));
}

/** What the archive is made from: what stands, or nothing, where it gets another form. */
interface FormPlan {
  readonly start: ArchiveDescriptor;
  readonly compress: WholeCodec | undefined;
  readonly anew: boolean;
}

/**
 * Of a stateless image, `gzip` and `pigz` say the form as for packimage, and it is kept in segments; anywhere else they
 * are the program that compresses it whole. Throws OsimageError BAD_SETTING.
 */
async function planForm(
  { family }: GenerationManifest,
  current: ArchiveDescriptor,
  { osimage, method, compress }: PackRequest,
  tools: Pick<PackTools, 'blobs' | 'writer' | 'counts'>,
): Promise<FormPlan> {
  const form = formOf(current);
  const wanted = method ?? form.method;
  const stateless = family === 'xcat';
  const segments = stateless && (compress === 'gzip' || compress === 'pigz');
  if (wanted === form.method && !(stateless && wanted === 'squashfs' && compress !== undefined)) {
    const start = segments ? await inSegments(current, tools) : current;
    return { start, compress: segments ? undefined : compress, anew: false };
  }
  if (!stateless || tailsOf(current).length > 1) {
    throw new OsimageError(
      'BAD_SETTING',
      `${osimage}: --method ${wanted} is for stateless images, whose initrd unpacks them; the kernel unpacks this one as it is, leave --method out`,
    );
  }
  const kept = form.compression === 'xz' ? 'xz' : undefined;
  const start = await emptyArchive(wanted, compress, tools.writer);
  await tools.writer.seal();
  const program = wanted === 'squashfs' || segments ? undefined : (compress ?? kept);
  return { start, compress: program, anew: true };
}

/** Archives that the directory may have been made into or come from, with the marks of its files then. */
async function knownStates(
  store: Store,
  inputs: GenerationInputs,
  base: string,
  record: UnpackRecord | undefined,
): Promise<KnownState[]> {
  const states: KnownState[] = [];
  const packed = inputs.packed?.[base];
  if (packed?.marks !== undefined) {
    const descriptor = decodeDescriptor(await readBlob(store.blobs, packed.descriptor));
    const marks = decodeMarks(await readBlob(store.blobs, packed.marks));
    states.push({ descriptor, part: 1, marks });
  }
  if (record !== undefined && record.marks.size > 0) {
    const { osimage, generation, archive, part } = record.origin;
    const origin = await store.osimages.generation(osimage, generation);
    if (origin !== undefined) {
      const descriptor = await descriptorOf(store, manifestOf(origin), archive);
      states.push({ descriptor, part, marks: record.marks });
    }
  }
  return states;
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
  base: string,
): void {
  const digests = (layers: GenerationInputs['layers']): string => layers.map(({ digest }) => digest).join();
  const editsOf = (inputs: GenerationInputs): GenerationInputs['edits'] =>
    inputs.edits.filter((edit) => edit.archive === servedName(inputs, base));
  const edits = editsOf(now);
  const isPacked = now.packed?.[base] !== undefined && edits.length === 0;
  const isSame = isPacked || JSON.stringify(edits) === JSON.stringify(editsOf(origin.inputs));
  if (isSame && digests(now.layers) === digests(origin.inputs.layers)) return;
  throw new OsimageError(
    'STALE_DIRECTORY',
    `${directory} was unpacked before ${osimage} was changed, and packing it would undo that; unpack again and move your changes there, or give --discard-edits`,
  );
}

/** What the directory was unpacked from; undefined without a record, or when it is no longer in the store. */
async function unpackedBase(
  store: Store,
  record: UnpackRecord | undefined,
): Promise<PlacedEntry[] | undefined> {
  if (record === undefined) return undefined;
  const { osimage, generation, archive, part } = record.origin;
  const origin = await store.osimages.generation(osimage, generation);
  if (origin === undefined) return [];
  return entriesOf(await descriptorOf(store, manifestOf(origin), archive), part, store.blobs);
}

/** Whether two archive files are served as the same bytes, by the blobs that they are made of. */
const areServedAlike = (a: ArchiveDescriptor, b: ArchiveDescriptor): boolean =>
  encodeMap(archiveMap(a)).equals(encodeMap(archiveMap(b)));
