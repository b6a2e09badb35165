import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../errors.js';
import { linesOf } from './comments.js';
import { ImageError } from './errors.js';

/** A layer's name and where it lies. */
export interface LayerDirectory {
  readonly name: string;
  readonly dir: string;
}

/**
 * The layers that `spec` means, highest first: `L[:L…]`, each a path or a name looked up in `searchDirs` in order, each
 * followed by what its INCLUDE file names (a list of the same form a line, comments as linesOf has them). Names that
 * follow a path, and those that a layer outside of `searchDirs` includes, are looked up beside that layer first, so
 * that a directory of layers that lies elsewhere is one set. A layer that comes up twice counts where it came first.
 * Throws ImageError NO_SUCH_LAYER; a layer that includes itself is BAD_LAYER.
 */
export async function resolveLayers(spec: string, searchDirs: readonly string[]): Promise<LayerDirectory[]> {
  const found = new Map<string, LayerDirectory>();
  await addLayers(spec, { relativeTo: [process.cwd()], dirs: searchDirs }, searchDirs, found, []);
  return [...found.values()];
}

/** Where the words of a list are looked up. */
interface Lookup {
  readonly relativeTo: readonly string[]; // paths
  readonly dirs: readonly string[]; // names
}

const withFirst = (dir: string, dirs: readonly string[]): readonly string[] =>
  dirs.includes(dir) ? dirs : [dir, ...dirs];

async function addLayers(
  spec: string,
  lookup: Lookup,
  searchDirs: readonly string[],
  found: Map<string, LayerDirectory>,
  including: readonly string[],
): Promise<void> {
  let { dirs } = lookup;
  for (const word of spec.split(':').map((part) => part.trim())) {
    if (word === '') continue;
    const layer = await findLayer(word, { ...lookup, dirs }, including);
    const beside = withFirst(path.dirname(layer.dir), searchDirs);
    if (word.includes('/')) dirs = beside;
    if (including.includes(layer.dir)) {
      throw new ImageError(
        'BAD_LAYER',
        `layer ${layer.name} includes itself: ${[...including, layer.dir].join(' → ')}; remove it from an INCLUDE file`,
      );
    }
    if (found.has(layer.dir)) continue;
    found.set(layer.dir, layer);
    for (const line of await includes(layer.dir)) {
      // create-install-image takes paths from configs/, in which the layer lies.
      const inside = { relativeTo: [layer.dir, path.dirname(layer.dir)], dirs: beside };
      await addLayers(line, inside, searchDirs, found, [...including, layer.dir]);
    }
  }
}

async function findLayer(
  word: string,
  { relativeTo, dirs }: Lookup,
  including: readonly string[],
): Promise<LayerDirectory> {
  const isPath = word.includes('/');
  const candidates = isPath
    ? [...new Set(relativeTo.map((dir) => path.resolve(dir, word)))]
    : dirs.map((dir) => path.join(dir, word));
  for (const dir of candidates) {
    const info = await stat(dir).catch(() => undefined);
    if (info?.isDirectory() === true) return { name: path.basename(dir), dir };
  }
  const by = including.at(-1);
  throw new ImageError(
    'NO_SUCH_LAYER',
    `no layer ${JSON.stringify(word)}${by === undefined ? '' : ` (included by ${by})`}: looked for ${candidates.join(', ')}; make that directory or give a path`,
  );
}

async function includes(dir: string): Promise<string[]> {
  const text = await readFile(path.join(dir, 'INCLUDE'), 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  });
  return linesOf(text);
}
