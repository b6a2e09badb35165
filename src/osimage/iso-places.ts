import { GRUB_CONFIG, ISOLINUX_CONFIG } from '../image/iso/request.js';
import { isoFiles } from './family/layout.js';
import type { Artifact, Family, GenerationManifest } from './types.js';

/** What an answer file on an ISO is called: on the disc, or in the archive. */
export const ANSWER_FILE = 'rackboot-answerfile';

/** Where the menus of a generation's ISO lie. */
export function menuPaths({ disc }: GenerationManifest): {
  readonly isolinux: readonly string[];
  readonly grub: readonly string[];
} {
  if (disc === undefined) return { isolinux: [ISOLINUX_CONFIG], grub: [GRUB_CONFIG] };
  return { isolinux: disc.isolinuxMenus, grub: disc.grubMenus };
}

/** Whether `netinstall` ISOs leave the tree's file at `path` out: packages and what lists them. */
function isLeftOut(family: Family, path: string): boolean {
  switch (family) {
    case 'xcp-ng':
      return /^(\.treeinfo$|Packages\/|repodata\/)/.test(path);
    case 'el':
      return /(^|\/)(Packages|repodata)\//.test(path);
    default:
      return true;
  }
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
