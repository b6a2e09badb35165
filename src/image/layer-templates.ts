import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { LayerDirectory } from './layer-path.js';

/** What a tree of templates is for: the installer's root file system, or the tree that it installs from. */
export type TemplateKind = 'installimg' | 'iso';

/** Which templates a list of layers takes. */
export interface Dist {
  readonly dist: string; // a layer's name
  readonly release?: string; // the version that the name ends in
}

/** The highest of `layers` (highest first) that is or ends in a version says which templates they take; else the highest. */
export function distOf(layers: readonly LayerDirectory[]): Dist {
  for (const { name } of layers) {
    const release = /(?:^|-)(\d+(?:\.\d+)+)$/.exec(name)?.[1];
    if (release !== undefined) return { dist: name, release };
  }
  return { dist: layers[0]?.name ?? '' };
}

/**
 * A layer's directories of templates, lowest first: `templates/<kind>/<dist>` beside the configs/ that the layer lies in,
 * as create-install-image has them, where the layer bears that name; then the layer's own.
 */
export async function templateTrees(
  layer: LayerDirectory,
  { dist, release }: Dist,
  kind: TemplateKind,
): Promise<string[]> {
  const names = release === undefined ? [dist] : [dist, release];
  const found: string[] = [];
  const add = async (top: string): Promise<void> => {
    for (const name of names) {
      const dir = path.join(top, 'templates', kind, name);
      const info = await stat(dir).catch(() => undefined);
      if (info?.isDirectory() !== true) continue;
      found.push(dir);
      return;
    }
  };
  const configs = path.dirname(await realpath(layer.dir));
  if (path.basename(configs) === 'configs' && names.includes(layer.name)) await add(path.dirname(configs));
  await add(layer.dir);
  return found;
}
