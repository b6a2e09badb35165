import { authorIso, type AuthoredIso } from '../image/iso/author.js';
import { checkVolumeId, DISK_INFO, isVolumeId, type IsoEntry } from '../image/iso/request.js';
import type { GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { answerPlace, archiveWithAnswer } from './answer-on-iso.js';
import { ANSWER_FILE, menuPaths, placedArtifacts } from './iso-places.js';
import { mediaLoaders } from './media-loaders.js';
import { artifactMaps, manifestOf, shortId } from './manifest.js';
import type { GenerationManifest } from './types.js';

/** The file on an ISO that says which generation it holds. */
export const ISO_FACTS = '.disk/rackboot.json';

/** The file that tells a generation's ISO from others. */
export function isoMark({ id }: Pick<GenerationRecord, 'id'>): string {
  return `.disk/rackboot-${shortId(id)}`;
}

/** Whether its GRUB looks for isoMark: that of the media, and one that loads Xen. */
function hasMark({ disc, boot }: GenerationManifest): boolean {
  return disc !== undefined || boot.some(({ kind }) => kind === 'xen');
}

/** What ISO_FACTS holds, as JSON. */
export interface IsoStatement {
  readonly osimage: string;
  readonly generation: string;
  readonly netinstall: boolean; // without the install tree
  readonly node?: string; // whose ISO it is, where it is one node's
  readonly answer?: true; // the node's answer file is on it
}

/** The menus of an ISO's loaders. */
export interface IsoMenus {
  readonly isolinux: string;
  readonly grub: string;
}

export interface IsoOptions {
  readonly volumeId?: string; // by default made of the osimage's name
  readonly netinstall: boolean;
  /** The loaders' menus, rendered from the generation's boot entries; boot files lie below isoFiles. */
  readonly menus: IsoMenus;
  readonly node?: string; // whose ISO it is, where it is one node's
  readonly answer?: string; // the node's answer file, to be on it
  readonly date: Date;
}

/**
 * The volume id an osimage's ISO gets unless told otherwise: that of the media, else the osimage's name, in the
 * characters every loader can search for.
 */
export function defaultVolumeId(record: GenerationRecord): string {
  const manifest = manifestOf(record);
  const vendors = manifest.disc?.volumeId ?? '';
  // Anaconda's kernel line names the disc, which a blank would cut.
  if (isVolumeId(vendors)) return manifest.family === 'el' ? vendors.replaceAll(' ', '_') : vendors;
  return record.osimage.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 32);
}

/**
 * The ISO of a generation, as an extent map over the same blobs that the network serves. Throws ImageError (bad volume
 * id, missing tool).
 */
export async function isoOfGeneration(
  store: Store,
  writer: BlobWriter,
  record: GenerationRecord,
  options: IsoOptions,
): Promise<AuthoredIso> {
  const manifest = manifestOf(record);
  const statement: IsoStatement = {
    osimage: record.osimage,
    generation: record.id,
    netinstall: options.netinstall,
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(options.answer === undefined ? {} : { answer: true }),
  };
  const text = (path: string, content: string): IsoEntry => ({
    path,
    content: { kind: 'bytes', bytes: Buffer.from(content) },
  });
  const { isolinux, grub } = menuPaths(manifest);
  const entries: IsoEntry[] = [
    ...isolinux.map((path) => text(path, options.menus.isolinux)),
    ...grub.map((path) => text(path, options.menus.grub)),
    text(DISK_INFO, `rackboot ${record.osimage} generation ${record.number} (${shortId(record.id)})\n`),
    text(ISO_FACTS, `${JSON.stringify(statement)}\n`),
    ...(hasMark(manifest) ? [text(isoMark(record), `${record.id}\n`)] : []),
  ];
  const loaders =
    manifest.disc === undefined
      ? undefined
      : mediaLoaders(store.blobs, manifest.disc, options.menus.grub, options.date);
  loaders?.catch(() => undefined); // met below; programs make them while the files are looked up
  const { answer } = options;
  if (answer !== undefined && answerPlace(manifest.family) === 'disc')
    entries.push(text(ANSWER_FILE, answer));
  const answering =
    answer === undefined || answerPlace(manifest.family) === 'disc'
      ? undefined
      : await archiveWithAnswer(store, writer, manifest, answer);
  const placed = placedArtifacts(manifest).filter(({ isPackages }) => !options.netinstall || !isPackages);
  const maps = await artifactMaps(
    store.blobs,
    placed.map(({ artifact }) => artifact),
  );
  for (const [index, { kind, artifact, isoPath }] of placed.entries()) {
    const own = kind === 'files' && artifact.path === answering?.path ? answering.map : undefined;
    const map = own ?? maps[index];
    if (map !== undefined) entries.push({ path: isoPath, content: { kind: 'map', map } });
  }
  return authorIso(
    {
      volumeId: checkVolumeId(options.volumeId ?? defaultVolumeId(record)),
      entries,
      boot: (await loaders) ?? {
        bios: true,
        uefi: true,
        ...(hasMark(manifest) ? { xenMark: isoMark(record) } : {}),
      },
      date: options.date,
    },
    { writer },
  );
}
