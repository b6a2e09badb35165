import { encodeSnapshot, type LayerSnapshot } from '../image/layer.js';
import type { SegmentCounts } from '../image/segment-writer.js';
import type { Digest } from '../store/digest.js';
import type { AttributeChange, GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { answerOf } from './answer.js';
import type { MediaLayout } from './family/layout.js';
import { ENGINE, generationId } from './generation-id.js';
import { importFiles, type ImportedFiles, type ReadOptions } from './import-files.js';
import { trueTreeinfo, withTreeinfo } from './tree/true-checksums.js';
import type { Attached, GenerationInputs, GenerationManifest } from './types.js';

/** An osimage that its first generation is made of. */
export interface NewOsimage {
  readonly name: string;
  readonly from: string; // as histories call its source
  readonly layout: MediaLayout;
  readonly brought?: Brought;
  readonly attributes?: readonly AttributeChange[]; // of nodes, changed with it
}

/** What a bundle says of its osimage besides its files. */
export interface Brought {
  readonly settings: Readonly<Record<string, string>>;
  readonly extras: Attached['extras'];
  readonly engine?: string; // what compressed the archive, where its segments are kept
  readonly answer?: { readonly name: string; readonly template: Buffer };
  /** Looks at what was imported, and throws where it is not what it should be. */
  readonly judge?: (imported: ImportedFiles) => Judgement;
}

/** What is to be known of an import. */
export interface Judgement {
  readonly notes: readonly string[];
  /** The inputs that the id is of, where they are those of before. */
  readonly origin?: Pick<GenerationInputs, 'imported' | 'media' | 'epoch'>;
}

export interface ImportResult {
  readonly record: GenerationRecord;
  readonly manifest: GenerationManifest;
  readonly counts: SegmentCounts;
  readonly notes: readonly string[]; // what did not stay as the vendor made it, a line each
}

const RECOUNTED = '.treeinfo: its checksums are now those of the files as they are served';

/** What a layer is called that holds what a bundle's osimage had from layers besides files and boot arguments. */
export const BUNDLE_LAYER = 'bundle';

/**
 * Reads every file of the layout once, stores it, and publishes the first generation. Throws OsimageError, ImageError
 * (with the file's name), TemplateError, AnswerError and StoreError; then nothing is visible of it.
 */
export async function publishImport(
  store: Store,
  { name, from, layout, brought, attributes = [] }: NewOsimage,
  options: ReadOptions,
): Promise<ImportResult> {
  return store.write(`import ${name}`, async (writer) => {
    const imported = await importFiles(layout, writer, store, options);
    const judged = brought?.judge?.(imported);
    const engine = brought?.engine ?? ENGINE;
    const layer = await answerLayer(brought, writer);
    const inputs: GenerationInputs = {
      engine,
      imported: engine,
      media: imported.media,
      ...judged?.origin,
      layers: layer === undefined ? [] : [{ name: BUNDLE_LAYER, digest: layer.digest }],
      edits: [],
      settings: brought?.settings ?? {},
      layerSpec: '',
    };
    const archives = Object.fromEntries(
      imported.archive === undefined ? [] : [[imported.archive.artifact.path, imported.archive.descriptor]],
    );
    const files = imported.files.map((stored) => stored.artifact);
    const media = imported.tree.map((stored) => stored.artifact);
    await writer.seal();
    const { family } = layout;
    const { disc } = imported;
    const served = { family, files, archives, tree: media, ...(disc === undefined ? {} : { disc }) };
    const treeinfo = await trueTreeinfo(served, store.blobs, writer);
    if (treeinfo !== undefined) await writer.seal();
    const { tree } =
      treeinfo === undefined ? { tree: media } : withTreeinfo({ tree: media }, treeinfo.artifact);
    const answer =
      layer === undefined
        ? undefined
        : await answerOf(store.blobs, [layer.snapshot], { family: layout.family, tree }, inputs.settings);
    const manifest: GenerationManifest = {
      version: 1,
      family: layout.family,
      files,
      tree,
      boot: layout.boot,
      bootBase: layout.boot,
      ...(answer === undefined ? {} : { answer }),
      ...(disc === undefined ? {} : { disc }),
      ...attachedOf(imported, brought),
      archives,
      bases: archives,
      inputs,
    };
    const record = await store.osimages.publish(
      {
        osimage: name,
        family: layout.family,
        id: generationId(layout.family, inputs),
        parent: null,
        note: `import ${from}`,
        manifest: JSON.stringify(manifest),
        blobs: [...imported.blobs, ...(treeinfo?.blobs ?? []), ...(layer?.blobs ?? [])],
        attributes,
      },
      { create: true },
    );
    return {
      record,
      manifest,
      counts: imported.counts,
      notes: [
        ...layout.notes,
        ...imported.notes,
        ...(treeinfo === undefined ? [] : [RECOUNTED]),
        ...(judged?.notes ?? []),
      ],
    };
  });
}

async function answerLayer(
  brought: Brought | undefined,
  writer: BlobWriter,
): Promise<
  { readonly digest: Digest; readonly snapshot: LayerSnapshot; readonly blobs: readonly Digest[] } | undefined
> {
  if (brought?.answer === undefined) return undefined;
  const { name, template } = brought.answer;
  const answer = { name, template: await writer.put(template) };
  const snapshot: LayerSnapshot = { version: 1, files: [], removals: [], bootargs: '', answer };
  const digest = await writer.put(encodeSnapshot(snapshot));
  return { digest, snapshot, blobs: [digest, answer.template] };
}

function attachedOf(
  { attached }: ImportedFiles,
  brought: Brought | undefined,
): Pick<GenerationManifest, 'attached'> | Record<never, never> {
  const extras = brought?.extras ?? [];
  if (attached.length === 0 && extras.length === 0) return {};
  return { attached: { files: attached.map(({ artifact }) => artifact), extras } };
}
