import type { BootEntry, GenerationManifest } from '../../osimage/types.js';

/** The stage that fetching the boot file at `path` is: kernel (or hypervisor), initrd, or tree for any other. */
export function stageOf(manifest: GenerationManifest, path: string): 'kernel' | 'initrd' | 'tree' {
  if (manifest.boot.some((entry) => entry.kernel === path || isHypervisor(entry, path))) return 'kernel';
  return manifest.boot.some((entry) => entry.initrds.includes(path)) ? 'initrd' : 'tree';
}

/** Whether `entry` boots the hypervisor at `path`. */
export function isHypervisor(entry: BootEntry, path: string): boolean {
  return entry.kind === 'xen' && entry.hypervisor === path;
}
