import type { LayerSnapshot } from '../image/layer.js';
import { zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { codeOf } from '../errors.js';
import type { Signer } from '../repo/signing/signer.js';
import { readBlob } from '../store/extents.js';
import type { GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { answerOf } from './answer.js';
import { buildArchives, type MissedRemoval } from './build-archives.js';
import { findGeneration } from './find.js';
import { ENGINE, generationId } from './generation-id.js';
import { shownLine } from './hidden-words.js';
import { layeredBoot } from './layered-boot.js';
import { manifestOf } from './manifest.js';
import { neededBlobs } from './needed-blobs.js';
import { importedName, namingServed } from './served-name.js';
import { requireFits } from './size-gate.js';
import { takenLayers } from './taken-layers.js';
import { havePackages, layeredTree, repositoryInputs, type Signing } from './tree/layered-tree.js';
import { trueTreeinfo, withTreeinfo } from './tree/true-checksums.js';
import type { AnswerTemplate, BootEntry, GenerationInputs, GenerationManifest } from './types.js';
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
  const layers = await takenLayers(changed, store.blobs);
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
  const byPath = Object.fromEntries(
    [...archives.values()].map(({ artifact, descriptor }) => [artifact.path, descriptor]),
  );
  const treeinfo = await trueTreeinfo({ ...carried, ...tree, files, archives: byPath }, store.blobs, writer);
  const manifest: GenerationManifest = {
    ...carried,
    ...(treeinfo === undefined ? tree : withTreeinfo(tree, treeinfo.artifact)),
    files,
    boot,
    ...(answer === undefined ? {} : { answer }),
    archives: byPath,
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
      note: shownLine(request.note),
      manifest: JSON.stringify(manifest),
      blobs: await neededBlobs(store.blobs, manifest, layers, archives),
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
