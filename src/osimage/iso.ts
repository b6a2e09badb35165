import { authorIso, type AuthoredIso } from '../image/iso/author.js';
import {
  checkVolumeId,
  DISK_INFO,
  GRUB_CONFIG,
  ISOLINUX_CONFIG,
  type IsoEntry,
} from '../image/iso/request.js';
import type { GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { artifactMap, manifestOf, shortId } from './manifest.js';
import type { Artifact, GenerationManifest } from './types.js';

/** The directory of boot files and archives on an ISO. */
export const ISO_FILES = '/boot';
/** The file on an ISO that says which generation it holds. */
export const ISO_FACTS = '.disk/rackboot.json';

/** What ISO_FACTS holds, as JSON. */
export interface IsoStatement {
  readonly osimage: string;
  readonly generation: string;
  readonly netinstall: boolean; // without the install tree
  readonly node?: string; // whose ISO it is, where it is one node's
}

/** The menus of an ISO's loaders. */
export interface IsoMenus {
  readonly isolinux: string;
  readonly grub: string;
}

export interface IsoOptions {
  readonly volumeId?: string; // by default made of the osimage's name
  readonly netinstall: boolean;
  /** The loaders' menus, rendered from the generation's boot entries; boot files lie below ISO_FILES. */
  readonly menus: IsoMenus;
  readonly node?: string; // whose ISO it is, where it is one node's
  readonly date: Date;
}

/** Where a boot file or archive of a generation lies on its ISO, relative to the root. */
export function isoPathOfFile(file: Artifact): string {
  return `${ISO_FILES.slice(1)}/${file.path}`;
}

/** The volume id an osimage's ISO gets unless told otherwise: its name, in the characters every loader can search for. */
export function defaultVolumeId(record: GenerationRecord): string {
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
  };
  const text = (path: string, content: string): IsoEntry => ({
    path,
    content: { kind: 'bytes', bytes: Buffer.from(content) },
  });
  const stored = async (path: string, artifact: Artifact): Promise<IsoEntry> => ({
    path,
    content: { kind: 'map', map: await artifactMap(store.blobs, artifact) },
  });
  const entries: IsoEntry[] = [
    text(ISOLINUX_CONFIG, options.menus.isolinux),
    text(GRUB_CONFIG, options.menus.grub),
    text(DISK_INFO, `rackboot ${record.osimage} generation ${record.number} (${shortId(record.id)})\n`),
    text(ISO_FACTS, `${JSON.stringify(statement)}\n`),
  ];
  for (const file of manifest.files) entries.push(await stored(isoPathOfFile(file), file));
  for (const file of options.netinstall ? [] : manifest.tree) entries.push(await stored(file.path, file));
  return authorIso(
    {
      volumeId: checkVolumeId(options.volumeId ?? defaultVolumeId(record)),
      entries,
      boot: { bios: true, uefi: true },
      date: options.date,
    },
    { writer },
  );
}

/** Every artifact of a generation with its place in the URLs and on the ISO. */
export function placedArtifacts(
  manifest: GenerationManifest,
): { kind: 'files' | 'tree'; artifact: Artifact; isoPath: string }[] {
  return [
    ...manifest.files.map((artifact) => ({
      kind: 'files' as const,
      artifact,
      isoPath: isoPathOfFile(artifact),
    })),
    ...manifest.tree.map((artifact) => ({ kind: 'tree' as const, artifact, isoPath: artifact.path })),
  ];
}
