import path from 'node:path';
import { ChunkReader } from '../../image/chunks.js';
import { isDirectory, isRegular } from '../../image/cpio/header.js';
import type { ScannedEntry } from '../../image/cpio/scanner.js';
import { ImageError } from '../../image/errors.js';
import { TarScanner } from '../../image/tar/scanner.js';
import { bundlePath, plainOf } from './unpack.js';

/** What a bundle of rackboot's own begins with. */
export const STATEMENT = 'manifest.json';
/** What an osimage's directory in a bundle of xCAT's holds. */
export const XCAT_MANIFEST = 'manifest.xml';

const XCAT_FILE =
  /^(manifest\.xml|initrd-state(less|lite)\.gz|rootimg\.(cpio|tar)\.[gx]z|rootimg\.(gz|sfs)|rootimgtree\.gz)$/;
/** Directories that root file systems have, and no osimage is called. */
const ROOT_DIRECTORY =
  /^(bin|boot|dev|etc|home|lib(32|64|x32)?|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)$/;

/** Whether `source` is a bundle, as far as its first entries tell; another tar archive is an image by itself. */
export async function isBundle(source: AsyncIterable<Buffer>): Promise<boolean> {
  const reader = new ChunkReader(source);
  let verdict: boolean | undefined;
  let entries = 0;
  const scanner = new TarScanner(0, {
    onEntry: (entry) => {
      verdict ??= judge(entry, entries++);
    },
    onTrailer: () => {
      verdict ??= false;
    },
  });
  try {
    for await (const chunk of plainOf(reader)) {
      scanner.push(chunk);
      if (verdict !== undefined) return verdict;
    }
    return false;
  } catch (error) {
    if (error instanceof ImageError) return verdict ?? false;
    throw error;
  } finally {
    await reader.close();
  }
}

function judge({ header, rawName }: ScannedEntry, number: number): boolean | undefined {
  const parts = bundlePath(rawName).split('/');
  const [top = ''] = parts;
  if (rawName.startsWith('/')) return undefined;
  if (ROOT_DIRECTORY.test(top)) return false;
  if (isDirectory(header.mode)) return undefined;
  if (!isRegular(header.mode)) return parts.includes('extra') ? undefined : false;
  if (parts.length === 1) return number === 0 && top === STATEMENT;
  return parts.length === 2 && XCAT_FILE.test(path.posix.basename(rawName)) ? true : undefined;
}
