import { open, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf } from '../../errors.js';
import { fileSource } from '../../image/iso/source.js';
import { unreadable } from '../../image/local-file.js';
import { OsimageError } from '../errors.js';
import { listDirectory, localFile } from './directory.js';
import { openDisc } from './iso.js';
import type { Source, SourceFile } from './source.js';
import { statelessAround } from './stateless.js';
import { openWeb, shownUrl } from './web.js';

const WEB = /^https?:\/\//i;

/** Where the identifier of the first volume descriptor stands (ECMA-119, 6.2.1 and 8.1.2); UDF alone begins with BEA01. */
const ISO_IDENTIFIER = { offset: 16 * 2048 + 1, texts: ['CD001', 'BEA01'] };

/**
 * Opens what is imported: a directory, an ISO image, or a lone archive file, each also as a file:// URL; or an
 * installer on a web server (openWeb). A root image of xCAT's brings the kernel and the initrd beside it, unless it is
 * `alone`. What a local file is is found out from its bytes. Throws OsimageError BAD_SOURCE
 * and, for a damaged ISO, ImageError naming it.
 */
export async function openSource(source: string, alone = false): Promise<Source> {
  if (WEB.test(source)) return openWeb(checkedUrl(source));
  const local = localPath(source);
  const info = await stat(local).catch((error: unknown) => {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: ${codeOf(error) === 'ENOENT' ? 'no such file or directory' : `cannot be read (${codeOf(error) ?? 'unknown error'})`}; give the directory that holds the installer's kernel and initrd, an ISO, or an archive`,
      { cause: error },
    );
  });
  const stateless = alone ? undefined : await statelessAround(local, info.isDirectory());
  if (info.isDirectory() || stateless !== undefined)
    return {
      kind: 'directory',
      files: stateless ?? (await listDirectory(local, { rootTrees: 'packed' })),
      notes: [],
      close: () => Promise.resolve(),
    };
  if (!info.isFile()) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: neither a directory nor a regular file; copy the image into a file and import that`,
    );
  }
  return openFile(local, info.size);
}

/** The local path of `source` where that is a regular file; else undefined. */
export async function localFileOf(source: string): Promise<string | undefined> {
  if (WEB.test(source)) return undefined;
  const local = localPath(source);
  const info = await stat(local).catch(() => undefined);
  return info?.isFile() === true ? local : undefined;
}

/** What histories call `source`: a URL without the credentials in it. */
export function nameOf(source: string): string {
  return WEB.test(source) ? shownUrl(source) : source;
}

/** A regular file given by name beside the source, as `--kernel` is. Throws OsimageError BAD_SOURCE. */
export async function openLocalFile(name: string): Promise<SourceFile> {
  const info = await stat(name).catch((error: unknown) => {
    throw unreadable(name, error);
  });
  if (!info.isFile())
    throw new OsimageError('BAD_SOURCE', `${name}: not a regular file; name the kernel's file`);
  return localFile(path.basename(name), name, info.size);
}

async function openFile(local: string, size: number): Promise<Source> {
  const file = await open(local).catch((error: unknown) => {
    throw unreadable(local, error);
  });
  if (await isIso(file))
    return openDisc({ where: local, bytes: fileSource(file, size), close: () => file.close() });
  await file.close();
  return {
    kind: 'archive',
    files: [localFile(path.basename(local), local, size)],
    notes: [],
    close: () => Promise.resolve(),
  };
}

async function isIso(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(5), 0, 5, ISO_IDENTIFIER.offset);
  return ISO_IDENTIFIER.texts.includes(buffer.toString('latin1', 0, bytesRead));
}

function checkedUrl(source: string): string {
  if (URL.canParse(source)) return source;
  throw new OsimageError('BAD_SOURCE', `${source}: no URL; write it as http://HOST/PATH`);
}

function localPath(source: string): string {
  if (!source.startsWith('file://')) return source;
  try {
    return fileURLToPath(source);
  } catch (error) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${source}: names no local file; write it as file:///path/of/the/file`,
      { cause: error },
    );
  }
}
