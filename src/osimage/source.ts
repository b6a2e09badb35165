import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf } from '../errors.js';
import { unreadable } from '../image/local-file.js';
import { OsimageError } from './errors.js';

/** A file of the media that is imported. */
export interface SourceFile {
  readonly path: string; // relative to the source, `/`-separated
  readonly onDisk: string;
  readonly size: number; // bytes
}

/**
 * The files of `source`, a directory or a file:// URL of one, in order of their paths. Symbolic links are followed as
 * long as they stay inside. Throws OsimageError BAD_SOURCE.
 */
export async function listSource(source: string): Promise<SourceFile[]> {
  const root = await sourceDirectory(source);
  const files: SourceFile[] = [];
  const walk = async (dir: string, below: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH)
      throw new OsimageError(
        'BAD_SOURCE',
        `${dir}: more than ${MAX_DEPTH} directories deep; a symbolic link leads in a circle, remove it`,
      );
    const entries = await readdir(dir, { withFileTypes: true }).catch((error: unknown) => {
      throw unreadable(dir, error);
    });
    for (const entry of entries) {
      const onDisk = path.join(dir, entry.name);
      const info = await stat(onDisk).catch((error: unknown) => {
        throw new OsimageError(
          'BAD_SOURCE',
          `${onDisk}: cannot be read (${codeOf(error) ?? 'unknown error'}); mend or remove it and import again`,
          { cause: error },
        );
      });
      if (entry.isSymbolicLink() && !(await realpath(onDisk)).startsWith(root + path.sep)) {
        throw new OsimageError(
          'BAD_SOURCE',
          `${onDisk}: a symbolic link that leaves ${root}; replace it by the file it points to`,
        );
      }
      if (info.isDirectory()) await walk(onDisk, `${below}${entry.name}/`, depth + 1);
      else if (info.isFile()) files.push({ path: below + entry.name, onDisk, size: info.size });
    }
  };
  await walk(root, '', 0);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

const MAX_DEPTH = 32;

async function sourceDirectory(source: string): Promise<string> {
  if (/^https?:\/\//i.test(source)) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${source}: importing over HTTP is not in this release; download it into a directory and import that`,
    );
  }
  const local = source.startsWith('file://') ? pathOfUrl(source) : source;
  const info = await stat(local).catch((error: unknown) => {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: ${codeOf(error) === 'ENOENT' ? 'no such directory' : `cannot be read (${codeOf(error) ?? 'unknown error'})`}; give the directory that holds the installer's kernel and initrd`,
      { cause: error },
    );
  });
  if (!info.isDirectory()) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: not a directory; give the directory that holds the installer's kernel and initrd (of an ISO: unpack it first with: rackboot iso extract)`,
    );
  }
  return realpath(local);
}

function pathOfUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${url}: names no local directory; write it as file:///path/of/the/directory`,
      { cause: error },
    );
  }
}
