import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../../errors.js';
import { ImageError } from '../../../image/errors.js';
import type { LayerDirectory } from '../../../image/layer-path.js';
import type { ConfigTemplate } from './types.js';

/** The first layer's file of that name. Throws ImageError BAD_LAYER, naming where it was looked for. */
export async function firstOf(layers: readonly LayerDirectory[], name: string): Promise<ConfigTemplate> {
  for (const layer of layers) {
    const found = await configOf(layer, name);
    if (found !== undefined) return found;
  }
  throw new ImageError(
    'BAD_LAYER',
    `cannot find ${name} in ${layers.map(({ dir }) => dir).join(', ')}; add a layer that has it, as ${name === 'CUSTOMREPO.tmpl' ? 'base' : '8.3'} does`,
  );
}

/** A layer's file of that name. Throws ImageError UNREADABLE. */
export async function configOf(layer: LayerDirectory, name: string): Promise<ConfigTemplate | undefined> {
  const where = path.join(layer.dir, name);
  try {
    return { where, text: await readFile(where, 'utf8') };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new ImageError('UNREADABLE', `${where}: cannot be read (${codeOf(error) ?? 'unknown error'})`, {
      cause: error,
    });
  }
}
