import { decodeDescriptor, type ArchiveDescriptor } from '../../image/archive.js';
import { cutsOf } from '../../image/archive-cuts.js';
import { readBlob } from '../../store/extents.js';
import type { BlobReader } from '../../store/types.js';
import { WHOLE_CODECS, type StatedFile, type Statement } from '../bundle/statement.js';
import { BUNDLE_LAYER } from '../publish-import.js';
import type { Artifact, GenerationManifest } from '../types.js';

const stated = ({ path, size, sha256 }: Artifact): StatedFile => ({ path, size, sha256 });

/** Where a bundle of rackboot's own has the answer file's template. */
export const ANSWER = 'answerfile.liquid';
/** Where it has what a BIOS runs of the ISO as a disk, below disc/. */
export const BOOT_CODE = 'bios-boot-code';

/** What a bundle says of the generation `manifest` of the osimage `name`. */
export async function statementOf(
  name: string,
  manifest: GenerationManifest,
  blobs: BlobReader,
): Promise<Statement> {
  const { inputs, archives, answer, disc, attached } = manifest;
  const [archive] = Object.entries(archives);
  return {
    rackboot: 1,
    osimage: name,
    family: manifest.family,
    files: manifest.files.map(stated),
    ...(archive === undefined
      ? {}
      : {
          archive: {
            path: archive[0],
            ...layoutOf(decodeDescriptor(await readBlob(blobs, archive[1]))),
          },
        }),
    tree: manifest.tree.map(stated),
    boot: manifest.boot,
    ...(disc === undefined ? {} : { disc: await discOf(disc, blobs) }),
    ...(attached === undefined
      ? {}
      : { attached: { files: attached.files.map(stated), extras: attached.extras } }),
    ...(answer === undefined
      ? {}
      : {
          answer: {
            name: answer.name,
            file: {
              path: ANSWER,
              size: (await readBlob(blobs, answer.template)).length,
              sha256: answer.template,
            },
          },
        }),
    settings: inputs.settings,
    engine: inputs.engine,
    ...(isAsImported(manifest)
      ? {
          origin: {
            imported: inputs.imported,
            media: inputs.media,
            ...(inputs.epoch === undefined ? {} : { epoch: inputs.epoch }),
          },
        }
      : {}),
  };
}

/** What it takes to read an archive to the same bytes again. */
function layoutOf(descriptor: ArchiveDescriptor): Omit<NonNullable<Statement['archive']>, 'path'> {
  const [frame, another] = descriptor.frames;
  const whole = WHOLE_CODECS.find((codec) => another === undefined && codec === frame?.whole?.codec);
  return { cuts: cutsOf(descriptor), ...(whole === undefined ? {} : { whole }) };
}

/** Whether nothing but settings were changed since the import: else the bundle holds what changes came to, not them. */
export function isAsImported({ inputs, treeChanges }: GenerationManifest): boolean {
  const { layers, edits, packed, repository } = inputs;
  return (
    layers.every(({ name }) => name === BUNDLE_LAYER) &&
    edits.length === 0 &&
    Object.keys(packed ?? {}).length === 0 &&
    repository === undefined &&
    treeChanges === undefined
  );
}

async function discOf(
  { bios, uefi, ...rest }: NonNullable<GenerationManifest['disc']>,
  blobs: BlobReader,
): Promise<NonNullable<Statement['disc']>> {
  const code = bios?.bootCode;
  return {
    ...rest,
    ...(bios === undefined
      ? {}
      : {
          bios: {
            image: stated(bios.image),
            ...(code === undefined
              ? {}
              : { bootCode: { path: BOOT_CODE, size: (await readBlob(blobs, code)).length, sha256: code } }),
            ...(bios.isGrub === undefined ? {} : { isGrub: bios.isGrub }),
          },
        }),
    ...(uefi === undefined ? {} : { uefi: { image: stated(uefi.image) } }),
  };
}
