import { authorIso, type AuthoredIso } from '../image/iso/author.js';
import {
  checkVolumeId,
  DISK_INFO,
  GRUB_CONFIG,
  isVolumeId,
  ISOLINUX_CONFIG,
  type IsoEntry,
} from '../image/iso/request.js';
import type { GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { ANSWER_FILE, answerPlace, archiveWithAnswer } from './answer-on-iso.js';
import { isoFiles } from './family/layout.js';
import { mediaLoaders } from './media-loaders.js';
import { artifactMap, manifestOf, shortId } from './manifest.js';
import type { Artifact, Family, GenerationManifest } from './types.js';

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

/** Where the menus of a generation's ISO lie. */
export function menuPaths({ disc }: GenerationManifest): {
  readonly isolinux: readonly string[];
  readonly grub: readonly string[];
} {
  if (disc === undefined) return { isolinux: [ISOLINUX_CONFIG], grub: [GRUB_CONFIG] };
  return { isolinux: disc.isolinuxMenus, grub: disc.grubMenus };
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

/** Whether `netinstall` ISOs leave the tree's file at `path` out: packages and what lists them. */
export function isLeftOut(family: Family, path: string): boolean {
  switch (family) {
    case 'xcp-ng':
      return /^(\.treeinfo$|Packages\/|repodata\/)/.test(path);
    case 'el':
      return /(^|\/)(Packages|repodata)\//.test(path);
    default:
      return true;
  }
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
  const stored = async (path: string, artifact: Artifact): Promise<IsoEntry> => ({
    path,
    content: { kind: 'map', map: await artifactMap(store.blobs, artifact) },
  });
  const { isolinux, grub } = menuPaths(manifest);
  const entries: IsoEntry[] = [
    ...isolinux.map((path) => text(path, options.menus.isolinux)),
    ...grub.map((path) => text(path, options.menus.grub)),
    text(DISK_INFO, `rackboot ${record.osimage} generation ${record.number} (${shortId(record.id)})\n`),
    text(ISO_FACTS, `${JSON.stringify(statement)}\n`),
    ...(hasMark(manifest) ? [text(isoMark(record), `${record.id}\n`)] : []),
  ];
  const { answer } = options;
  if (answer !== undefined && answerPlace(manifest.family) === 'disc')
    entries.push(text(ANSWER_FILE, answer));
  const answering =
    answer === undefined || answerPlace(manifest.family) === 'disc'
      ? undefined
      : await archiveWithAnswer(store, writer, manifest, answer);
  for (const { kind, artifact, isoPath, isPackages } of placedArtifacts(manifest)) {
    if (options.netinstall && isPackages) continue;
    entries.push(
      kind === 'files' && artifact.path === answering?.path
        ? { path: isoPath, content: { kind: 'map', map: answering.map } }
        : await stored(isoPath, artifact),
    );
  }
  return authorIso(
    {
      volumeId: checkVolumeId(options.volumeId ?? defaultVolumeId(record)),
      entries,
      boot:
        manifest.disc === undefined
          ? { bios: true, uefi: true, ...(hasMark(manifest) ? { xenMark: isoMark(record) } : {}) }
          : await mediaLoaders(store.blobs, manifest.disc, options.menus.grub, options.date),
      date: options.date,
    },
    { writer },
  );
}

/** An artifact, and where a generation's ISO has it. */
export interface PlacedArtifact {
  readonly kind: 'files' | 'tree';
  readonly artifact: Artifact;
  readonly isoPath: string; // relative to the root
  readonly isPackages: boolean; // a netinstall ISO leaves it out
}

/** Every artifact of a generation with its place in the URLs and on the ISO. */
export function placedArtifacts(manifest: GenerationManifest): PlacedArtifact[] {
  const { family } = manifest;
  const base = isoFiles(family).slice(1);
  return [
    ...manifest.files.map((artifact) => ({
      kind: 'files' as const,
      artifact,
      isoPath: base === '' ? artifact.path : `${base}/${artifact.path}`,
      isPackages: false,
    })),
    ...manifest.tree.map((artifact) => ({
      kind: 'tree' as const,
      artifact,
      isoPath: artifact.path,
      isPackages: isLeftOut(family, artifact.path),
    })),
  ];
}
