import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../errors.js';
import type { BlobWriter } from '../store/types.js';
import { linesOf, withoutComments } from './comments.js';
import { pathFromBytes } from './cpio/path.js';
import { readDrivers } from './drivers/read-drivers.js';
import { ImageError } from './errors.js';
import { readExlist, type Exlist } from './exlist.js';
import type { LayerSnapshot } from './layer.js';
import { readOverlay } from './layer-overlay.js';
import { readPackages } from './layer-packages.js';
import type { LayerDirectory } from './layer-path.js';
import { parseMtree, type MtreeEntry } from './mtree.js';

/** What a layer's directory may hold, and what it is for. Names that begin with a dot are left alone. */
const KNOWN = [
  'INCLUDE',
  'overlay',
  'removals',
  'exlist',
  'mtree',
  'drivers',
  'packages',
  'bootargs',
  'xenargs',
  'answerfile.liquid',
];

/** Told of what is odd but no error, a line at a time. */
export type LayerNotes = (line: string) => void;

/**
 * Reads a layer's directory and stores its files. Throws ImageError BAD_LAYER for what a layer cannot hold, naming it
 * and the mend.
 */
export async function readLayer(
  layer: LayerDirectory,
  writer: BlobWriter,
  note: LayerNotes = () => undefined,
): Promise<LayerSnapshot> {
  const names = (await readdir(layer.dir)).filter((name) => !name.startsWith('.') && !/^README/i.test(name));
  const stranger = names.find((name) => !KNOWN.includes(name));
  if (stranger !== undefined) {
    throw new ImageError(
      'BAD_LAYER',
      `${path.join(layer.dir, stranger)}: a layer may hold ${KNOWN.join(', ')} and README; move it below overlay/ if it belongs into the image`,
    );
  }
  const answer = await readText(layer, 'answerfile.liquid');
  const xenargs = withoutComments((await readText(layer, 'xenargs')) ?? '');
  return {
    version: 1,
    files: names.includes('overlay') ? await readOverlay(path.join(layer.dir, 'overlay'), writer) : [],
    removals: linesOf((await readText(layer, 'removals', 'latin1')) ?? '').map((line) => pathFromBytes(line)),
    ...(names.includes('exlist') ? { exlist: await readLayerExlist(layer, note) } : {}),
    ...(names.includes('mtree') ? { mtree: await readMtree(layer) } : {}),
    ...(names.includes('drivers')
      ? { drivers: await readDrivers(path.join(layer.dir, 'drivers'), writer, note) }
      : {}),
    ...(names.includes('packages')
      ? { packages: await readPackages(path.join(layer.dir, 'packages'), writer) }
      : {}),
    bootargs: withoutComments((await readText(layer, 'bootargs')) ?? ''),
    ...(xenargs === '' ? {} : { xenargs }),
    ...(answer === undefined
      ? {}
      : {
          answer: {
            name: `${layer.name}/answerfile.liquid`,
            template: await writer.put(Buffer.from(answer)),
          },
        }),
  };
}

function readLayerExlist(layer: LayerDirectory, note: LayerNotes): Promise<Exlist> {
  return readExlist(path.join(layer.dir, 'exlist'), {
    read: (file) => readFile(file, 'latin1'),
    onIdle: ({ file, line, why }) => note(`${file}:${line}: ${why}`),
  });
}

async function readMtree(layer: LayerDirectory): Promise<MtreeEntry[]> {
  const file = path.join(layer.dir, 'mtree');
  return parseMtree(await readFile(file, 'latin1'), file);
}

async function readText(
  layer: LayerDirectory,
  name: string,
  encoding: 'utf8' | 'latin1' = 'utf8',
): Promise<string | undefined> {
  return readFile(path.join(layer.dir, name), encoding).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}
