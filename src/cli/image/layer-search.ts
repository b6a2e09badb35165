import path from 'node:path';
import { packageRoot } from '../../site/assets.js';
import type { Site } from '../../site/site.js';

/** Where layers are looked up by name: the site's own first, then those that ship with rackboot. */
export function layerSearchDirs(site: Site): string[] {
  return [site.paths.layers, path.join(packageRoot(), 'configs')];
}

/** A layer list as it is recorded: words that are paths made absolute, so that a later build finds them from anywhere. */
export function absoluteLayerSpec(spec: string): string {
  return spec
    .split(':')
    .map((word) => (word.includes('/') ? path.resolve(word) : word))
    .join(':');
}
