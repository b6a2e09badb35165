import { archiveBlobs, decodeDescriptor, type ArchiveDescriptor } from '../image/archive.js';
import { pathToText, type ArchivePath } from '../image/cpio/path.js';
import { decodeSnapshot, encodeSnapshot, snapshotBlobs, type LayerSnapshot } from '../image/layer.js';
import { resolveLayers } from '../image/layer-path.js';
import { distOf } from '../image/layer-templates.js';
import { readLayer, type LayerNotes } from '../image/layer-read.js';
import { spliceArchive, type ArchiveEdit } from '../image/splice.js';
import { zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { codeOf } from '../errors.js';
import type { Signer } from '../repo/signing/signer.js';
import type { Digest } from '../store/digest.js';
import { blobsOf, readBlob } from '../store/extents.js';
import type { GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { adHocBlobs, adHocEdits } from './ad-hoc.js';
import { answerOf } from './answer.js';
import { storeArchiveArtifact, type StoredArtifact } from './artifacts.js';
import { digestAhead, type DigestAhead } from './digest-ahead.js';
import { OsimageError } from './errors.js';
import { findGeneration } from './find.js';
import { ENGINE, generationId } from './generation-id.js';
import { haveSameArchives, keptArchive } from './kept-archive.js';
import { layeredBoot } from './layered-boot.js';
import { layeredEdits } from './layered-edits.js';
import { artifactMap, discArtifacts, manifestOf } from './manifest.js';
import { importedName, namingServed, servedName } from './served-name.js';
import { requireFits } from './size-gate.js';
import { havePackages, layeredTree, repositoryInputs, type Signing } from './tree/layered-tree.js';
import type {
  AnswerTemplate,
  Artifact,
  BootEntry,
  GenerationInputs,
  GenerationManifest,
  PackedArchive,
} from './types.js';
import { unheededSettings } from './unheeded-settings.js';

/** What a build changes about the inputs of the current generation. */
export interface BuildRequest {
  readonly osimage: string;
  readonly note: string; // for the history
  /** The inputs of the new generation, from those of the current one; may store blobs. Asked again when another build came first. */
  change(current: CurrentGeneration, writer: BlobWriter): Promise<GenerationInputs>;
  /** Gives what signs an install tree that changes. A request without it leaves the tree as it is. */
  readonly signer?: () => Promise<Signer | undefined>;
}

export interface CurrentGeneration {
  readonly record: GenerationRecord;
  readonly manifest: GenerationManifest;
}

export interface BuildResult {
  readonly record: GenerationRecord;
  readonly manifest: GenerationManifest;
  /** False when the inputs were those of a generation that exists: nothing was built, it was made current. */
  readonly built: boolean;
  readonly counts: SegmentCounts;
  readonly missed: readonly MissedRemoval[];
  readonly notes: readonly string[]; // what else is to be known of it, a line each
}

/** A removal of a layer that removed nothing. */
export interface MissedRemoval {
  readonly from: string; // the layer
  readonly path: string; // pathToText
}

/** Builds that may come between before this one gives up. */
const MAX_ATTEMPTS = 5;

/**
 * Publishes the generation that `request` asks for and makes it current. Every build starts from the archives as they
 * were imported, so its bytes depend on its inputs alone. Throws OsimageError, ImageError, TemplateError BAD_TEMPLATE,
 * AnswerError BAD_ANSWERFILE, StoreError; then the current generation stays.
 */
export async function buildGeneration(store: Store, request: BuildRequest): Promise<BuildResult> {
  for (let attempt = 1; ; attempt++) {
    const record = await findGeneration(store, request.osimage);
    const current = { record, manifest: manifestOf(record) };
    try {
      return await store.read(request.note, [record], () =>
        store.write(request.note, (writer) => buildOnce(store, writer, request, current)),
      );
    } catch (error) {
      if (codeOf(error) !== 'STALE_PARENT' || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function buildOnce(
  store: Store,
  writer: BlobWriter,
  request: BuildRequest,
  current: CurrentGeneration,
): Promise<BuildResult> {
  const counts = zeroCounts();
  const missed: MissedRemoval[] = [];
  const notes: string[] = [];
  const { repository: _before, ...changed } = await request.change(current, writer);
  await writer.seal();
  const layers = await readSnapshots(store, changed);
  const snapshots = layers.map(({ snapshot }) => snapshot);
  const signing = await signingOf(request, snapshots);
  const repository = await repositoryInputs(snapshots, signing, current.manifest.inputs);
  const inputs = { ...changed, engine: ENGINE, ...(repository === undefined ? {} : { repository }) };
  const id = generationId(current.manifest.family, inputs);
  const existing = await store.osimages.generation(request.osimage, id);
  if (existing !== undefined) {
    await store.osimages.setCurrent(request.osimage, id);
    return { record: existing, manifest: manifestOf(existing), built: false, counts, missed, notes };
  }
  const tree = await layeredTree(current.manifest, layers, inputs, signing, {
    blobs: store.blobs,
    writer,
    scratch: (body) => store.scratch(body),
    note: (line) => notes.push(line),
  });
  // What the tree says is read to judge the answer file by.
  if (tree.treeChanges !== undefined) await writer.seal();
  const answer = await answerOf(store.blobs, snapshots, { ...current.manifest, ...tree }, inputs.settings);
  const bootBase = namingServed(current.manifest.bootBase, inputs);
  const boot = layeredBoot(current.manifest.family, bootBase, layers, inputs.settings);
  const told = { counts, missed, notes };
  if (current.manifest.family !== 'xcat')
    notes.push(
      ...unheededSettings({
        settings: inputs.settings,
        before: current.manifest.inputs.settings,
        templates: await templatesOf(store, answer, boot),
      }),
    );
  const archives = await buildArchives(store, writer, told, current.manifest, layers, inputs);
  const files = current.manifest.files.map(
    (file) => archives.get(importedName(current.manifest.inputs, file.path))?.artifact ?? file,
  );
  const { answer: _previous, treeChanges: _changes, ...carried } = current.manifest;
  const manifest: GenerationManifest = {
    ...carried,
    ...tree,
    files,
    boot,
    ...(answer === undefined ? {} : { answer }),
    archives: Object.fromEntries(
      [...archives.values()].map(({ artifact, descriptor }) => [artifact.path, descriptor]),
    ),
    inputs,
  };
  await writer.seal();
  await requireFits(store, request.osimage, current.manifest, manifest);
  const record = await store.osimages.publish(
    {
      osimage: request.osimage,
      family: manifest.family,
      id,
      parent: current.record.id,
      note: request.note,
      manifest: JSON.stringify(manifest),
      blobs: await blobsNeeded(store, manifest, layers, archives),
    },
    { create: false },
  );
  return { record, manifest, built: true, counts, missed, notes };
}

/** The texts of a generation that are filled in for each node. */
async function templatesOf(
  store: Store,
  answer: AnswerTemplate | undefined,
  boot: readonly BootEntry[],
): Promise<string[]> {
  const lines = boot.flatMap((entry) =>
    entry.kind === 'xen' ? [entry.args, entry.hypervisorArgs] : [entry.args],
  );
  if (answer === undefined) return lines;
  return [(await readBlob(store.blobs, answer.template)).toString('utf8'), ...lines];
}

/** Who signs, asked only where a layer has packages: a signing service wants a code. */
async function signingOf(request: BuildRequest, layers: readonly LayerSnapshot[]): Promise<Signing> {
  if (request.signer === undefined || !havePackages(layers)) return undefined;
  return { signer: await request.signer() };
}

type NamedSnapshot = { readonly name: string; readonly digest: Digest; readonly snapshot: LayerSnapshot };
type StoredArchive = StoredArtifact & { readonly descriptor: Digest };

async function readSnapshots(
  store: Store,
  inputs: Pick<GenerationInputs, 'layers'>,
): Promise<NamedSnapshot[]> {
  const read: NamedSnapshot[] = [];
  for (const { name, digest } of inputs.layers) {
    read.push({ name, digest, snapshot: decodeSnapshot(await readBlob(store.blobs, digest)) });
  }
  return read;
}

async function buildArchives(
  store: Store,
  writer: BlobWriter,
  told: {
    readonly counts: SegmentCounts;
    readonly missed: MissedRemoval[];
    readonly notes: string[];
  },
  manifest: GenerationManifest,
  layers: readonly NamedSnapshot[],
  inputs: GenerationInputs,
): Promise<Map<string, StoredArchive>> {
  const built = new Map<string, StoredArchive>();
  const main = findMainArchive(manifest);
  const keeps = haveSameArchives(manifest.inputs, inputs);
  for (const [name, digest] of Object.entries(manifest.bases)) {
    const before = servedName(manifest.inputs, name);
    const kept = keeps ? await keptArchive(manifest, before, store.blobs) : undefined;
    if (kept !== undefined) {
      built.set(name, kept);
      continue;
    }
    const ahead = await hashAhead(store, manifest, before);
    try {
      const packed = inputs.packed?.[name];
      const path = servedName(inputs, name);
      const base = await readDescriptor(store, packed?.descriptor ?? digest);
      const layered =
        before === main && !holdsLayers(packed, inputs)
          ? await layeredEdits(base, layers, bootedKernels(manifest, before), store.blobs)
          : [];
      const edits: ArchiveEdit[] = [...layered, ...(await adHocEdits(inputs.edits, path, store.blobs))];
      const descriptor = await spliceArchive(base, edits, {
        blobs: store.blobs,
        writer,
        counts: told.counts,
        onMissed(edit) {
          if (edit.op === 'delete' && layered.includes(edit))
            told.missed.push({ from: edit.from, path: pathToText(edit.path) });
        },
        onCapabilityLost: (lost) => told.notes.push(capabilityNote(lost)),
        mtime: inputs.epoch,
        earlier: await currentDescriptors(store, manifest, before),
      });
      built.set(name, await storeArchiveArtifact(path, descriptor, writer, store.blobs, ahead));
    } finally {
      await ahead?.stop();
    }
  }
  return built;
}

/** What is said of a file whose content is new and which had file capabilities. */
export const capabilityNote = (path: ArchivePath): string =>
  `${pathToText(path)}: its file capabilities are gone with its content, as when a file is written to; its other extended attributes stay`;

/** Whether a packed archive was made of a directory that had just the layers of `inputs` in it. */
function holdsLayers(packed: PackedArchive | undefined, { layers }: GenerationInputs): boolean {
  if (packed?.layers.length !== layers.length) return false;
  return packed.layers.every((digest, at) => digest === layers[at]?.digest);
}

/** The kernels that are booted with the archive at `path`. */
function bootedKernels({ family, files, bootBase }: GenerationManifest, path: string): Artifact[] {
  const kernels = new Set(
    bootBase.filter(({ initrds }) => family === 'xcat' || initrds.includes(path)).map(({ kernel }) => kernel),
  );
  return files.filter((file) => kernels.has(file.path));
}

/** Begins to hash what the artifact at `path` is now: most of it stays. */
async function hashAhead(
  store: Store,
  { files }: GenerationManifest,
  path: string,
): Promise<DigestAhead | undefined> {
  const now = files.find((file) => file.path === path);
  return now === undefined ? undefined : digestAhead(await artifactMap(store.blobs, now), store.blobs);
}

async function currentDescriptors(
  store: Store,
  manifest: GenerationManifest,
  path: string,
): Promise<ArchiveDescriptor[]> {
  const digest = manifest.archives[path];
  // What another engine compressed is not what this one would.
  return digest === undefined || manifest.inputs.engine !== ENGINE
    ? []
    : [await readDescriptor(store, digest)];
}

async function readDescriptor(store: Store, digest: Digest): Promise<ArchiveDescriptor> {
  return decodeDescriptor(await readBlob(store.blobs, digest));
}

/** Every blob that a generation needs: what it serves, and what it takes to build on it. */
async function blobsNeeded(
  store: Store,
  manifest: GenerationManifest,
  layers: readonly NamedSnapshot[],
  archives: ReadonlyMap<string, StoredArchive>,
): Promise<Set<Digest>> {
  const needed = new Set<Digest>();
  const media = manifest.treeChanges?.replaced ?? [];
  for (const artifact of [...manifest.files, ...manifest.tree, ...media, ...discArtifacts(manifest)]) {
    needed.add(artifact.map);
    for (const blob of blobsOf(await artifactMap(store.blobs, artifact))) needed.add(blob);
  }
  if (manifest.disc?.bios?.bootCode !== undefined) needed.add(manifest.disc.bios.bootCode);
  for (const stored of archives.values()) for (const blob of stored.blobs) needed.add(blob);
  const packed = Object.values(manifest.inputs.packed ?? {}).map(({ descriptor }) => descriptor);
  for (const { marks } of Object.values(manifest.inputs.packed ?? {}))
    if (marks !== undefined) needed.add(marks);
  for (const digest of [...Object.values(manifest.bases), ...packed]) {
    needed.add(digest);
    for (const blob of archiveBlobs(await readDescriptor(store, digest))) needed.add(blob);
  }
  for (const { digest, snapshot } of layers) {
    needed.add(digest);
    for (const blob of snapshotBlobs(snapshot)) needed.add(blob);
  }
  for (const blob of await adHocBlobs(manifest.inputs.edits, store.blobs)) needed.add(blob);
  return needed;
}

/** Reads the layers that `spec` means from disk and stores them, highest first. `note` is told what is odd in them. */
export async function takeLayers(
  spec: string,
  searchDirs: readonly string[],
  writer: BlobWriter,
  note: LayerNotes = () => undefined,
): Promise<GenerationInputs['layers']> {
  const layers: { name: string; digest: Digest }[] = [];
  const directories = await resolveLayers(spec, searchDirs);
  for (const directory of directories) {
    const snapshot = await readLayer(directory, writer, note, distOf(directories));
    layers.push({ name: directory.name, digest: await writer.put(encodeSnapshot(snapshot)) });
  }
  return layers;
}

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
function findMainArchive({ family, boot, archives }: GenerationManifest): string | undefined {
  const [entry] = boot;
  const main = entry === undefined || family === 'xcat' ? Object.keys(archives)[0] : entry.initrds[0];
  return main !== undefined && archives[main] !== undefined ? main : undefined;
}
