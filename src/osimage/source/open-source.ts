import { open, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf } from '../../errors.js';
import { ImageError } from '../../image/errors.js';
import { openIso, readNode, type IsoImage } from '../../image/iso/reader.js';
import { fileSource } from '../../image/iso/source.js';
import { SECTOR } from '../../image/iso/volume.js';
import { unreadable } from '../../image/local-file.js';
import { OsimageError } from '../errors.js';
import { listDirectory, localFile } from './directory.js';
import type { Source, SourceFile } from './source.js';

/** Where the identifier of the first volume descriptor stands (ECMA-119, 6.2.1 and 8.1.2). */
const ISO_IDENTIFIER = { offset: 16 * 2048 + 1, text: 'CD001' };

/** What isohybrid puts first into an image: code of this many bytes, then where ISOLINUX lies (isohybrid.c). */
const BOOT_CODE = 432;

/**
 * Opens what is imported: a directory, an ISO image, or a lone archive file, each also as a file:// URL. What a file is
 * is found out from its bytes. Throws OsimageError BAD_SOURCE and, for a damaged ISO, ImageError naming it.
 */
export async function openSource(source: string): Promise<Source> {
  const local = localPath(source);
  const info = await stat(local).catch((error: unknown) => {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: ${codeOf(error) === 'ENOENT' ? 'no such file or directory' : `cannot be read (${codeOf(error) ?? 'unknown error'})`}; give the directory that holds the installer's kernel and initrd, an ISO, or an archive`,
      { cause: error },
    );
  });
  if (info.isDirectory())
    return {
      kind: 'directory',
      files: await listDirectory(local),
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
  try {
    if (await isIso(file)) return await isoSource(local, file, size);
  } catch (error) {
    await file.close();
    if (error instanceof ImageError)
      throw new ImageError(error.code, `${local}: ${error.message}`, { cause: error });
    throw error;
  }
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
  return buffer.toString('latin1', 0, bytesRead) === ISO_IDENTIFIER.text;
}

async function isoSource(local: string, file: FileHandle, size: number): Promise<Source> {
  const image = await openIso(fileSource(file, size));
  const places = new Map<SourceFile, number | undefined>();
  for (const node of image.nodes) {
    if (node.kind !== 'file') continue;
    const source: SourceFile = {
      path: node.path,
      size: node.size,
      where: `${local}:/${node.path}`,
      read: () => readNode(image, node),
    };
    places.set(source, node.extents[0]?.offset);
  }
  const files = [...places.keys()];
  const fileAt = (sector: number): SourceFile | undefined =>
    files.find((candidate) => places.get(candidate) === sector * SECTOR);
  const bootCode = await isolinuxBootCode(image);
  return {
    kind: 'iso',
    files,
    disc: {
      volumeId: image.volumes[0].volumeId,
      boot: image.boot.flatMap(({ platform, sector }) => {
        const found = fileAt(sector);
        const kind = platform === 'bios' || platform === 'uefi' ? platform : 'other';
        return found === undefined ? [] : [{ platform: kind, file: found }];
      }),
      ...(bootCode === undefined ? {} : { bootCode }),
    },
    notes: [],
    close: () => file.close(),
  };
}

/** The code that starts ISOLINUX where the image is a disk, if that is what its MBR holds. */
async function isolinuxBootCode({ source, boot }: IsoImage): Promise<Buffer | undefined> {
  if (source.size < BOOT_CODE + 4) return undefined;
  const area = await source.read(0, BOOT_CODE + 4);
  const starts = area.readUInt32LE(BOOT_CODE);
  const isIt = boot.some(({ platform, sector }) => platform === 'bios' && sector * (SECTOR / 512) === starts);
  return isIt ? area.subarray(0, BOOT_CODE) : undefined;
}

function localPath(source: string): string {
  if (/^https?:\/\//i.test(source)) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${source}: importing over HTTP is not in this release; download it and import the copy`,
    );
  }
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
