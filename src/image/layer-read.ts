import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../errors.js';
import type { BlobWriter } from '../store/types.js';
import { isDirectory, isRegular, isSymlink } from './cpio/header.js';
import { pathFromText } from './cpio/path.js';
import { ImageError } from './errors.js';
import type { LayerFile, LayerSnapshot } from './layer.js';
import type { LayerDirectory } from './layer-path.js';
import { readLocalFile, unreadable } from './local-file.js';

/** What a layer's directory may hold, and what it is for. Names that begin with a dot are left alone. */
const KNOWN = ['INCLUDE', 'overlay', 'removals', 'bootargs', 'answerfile.liquid'];

/**
 * Reads a layer's directory and stores its files. Throws ImageError BAD_LAYER for what a layer cannot hold, naming it
 * and the mend.
 */
export async function readLayer(layer: LayerDirectory, writer: BlobWriter): Promise<LayerSnapshot> {
  const names = (await readdir(layer.dir)).filter((name) => !name.startsWith('.') && !/^README/i.test(name));
  const stranger = names.find((name) => !KNOWN.includes(name));
  if (stranger !== undefined) {
    throw new ImageError(
      'BAD_LAYER',
      `${path.join(layer.dir, stranger)}: a layer may hold ${KNOWN.join(', ')} and README; move it below overlay/ if it belongs into the image`,
    );
  }
  const answer = await readText(layer, 'answerfile.liquid');
  return {
    version: 1,
    files: names.includes('overlay') ? await readOverlay(path.join(layer.dir, 'overlay'), writer) : [],
    removals: withoutComments((await readText(layer, 'removals')) ?? '').map((line) => pathFromText(line)),
    bootargs: withoutComments((await readText(layer, 'bootargs')) ?? '').join(' '),
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

async function readText(layer: LayerDirectory, name: string): Promise<string | undefined> {
  return readFile(path.join(layer.dir, name), 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

/** The lines of a text, without what follows a `#` at a line's start or after a space, and without empty lines. */
function withoutComments(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');
}

async function readOverlay(root: string, writer: BlobWriter): Promise<LayerFile[]> {
  const files: LayerFile[] = [];
  const walk = async (dir: Buffer, below: string): Promise<void> => {
    const names = await readdir(dir, { encoding: 'buffer' }).catch((error: unknown) => {
      throw unreadable(dir, error);
    });
    for (const name of names) {
      const onDisk = Buffer.concat([dir, Buffer.from('/'), name]);
      const inArchive = below + name.toString('latin1');
      const file = await readOverlayFile(onDisk, inArchive, writer);
      files.push(file);
      if (isDirectory(file.mode)) await walk(onDisk, `${inArchive}/`);
    }
  };
  await walk(Buffer.from(root), '');
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function readOverlayFile(onDisk: Buffer, inArchive: string, writer: BlobWriter): Promise<LayerFile> {
  const { mode, size } = await lstat(onDisk);
  if (isDirectory(mode)) return { path: inArchive, mode, size: 0 };
  if (isSymlink(mode)) {
    return {
      path: inArchive,
      mode,
      size: 0,
      target: (await readlink(onDisk, { encoding: 'buffer' })).toString('latin1'),
    };
  }
  if (!isRegular(mode)) {
    throw new ImageError(
      'BAD_LAYER',
      `${onDisk.toString()}: an overlay holds files, directories and symbolic links; remove this device, pipe or socket`,
    );
  }
  if (size === 0) return { path: inArchive, mode, size };
  const stored = await writer.putStream(readLocalFile(onDisk));
  return { path: inArchive, mode, size: stored.size, blob: stored.digest };
}
