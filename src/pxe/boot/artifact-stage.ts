import type { GenerationManifest } from '../../osimage/types.js';

/** The stage that fetching the boot file at `path` is: kernel, initrd, or tree for any other. */
export function stageOf(manifest: GenerationManifest, path: string): 'kernel' | 'initrd' | 'tree' {
  if (manifest.boot.some((entry) => entry.kernel === path)) return 'kernel';
  return manifest.boot.some((entry) => entry.initrds.includes(path)) ? 'initrd' : 'tree';
}
