import {
  chmod,
  lchown,
  link,
  lutimes,
  mkdir,
  open,
  readdir,
  symlink,
  type FileHandle,
} from 'node:fs/promises';
import { codeOf, messageOf } from '../../errors.js';
import { inodeOf, type PlacedEntry } from '../archive-index.js';
import { isDirectory, isRegular, isSymlink, S_IFMT, S_IFSOCK } from '../cpio/header.js';
import { parentOf, pathToText, ROOT, type ArchivePath } from '../cpio/path.js';
import { ImageError } from '../errors.js';
import { isHole } from '../entry-data.js';
import { makeNodes } from './special-files.js';

/** What unpackInto works with. */
export interface UnpackTools {
  /** The data of an entry; of a hard link, that of the inode. */
  read(entry: PlacedEntry): AsyncIterable<Buffer>;
  /** Whether this process may make devices and give files away: as root. */
  readonly privileged: boolean;
}

/** What unpackInto wrote. */
export interface Unpacked {
  readonly files: number;
  readonly directories: number;
  readonly links: number; // symbolic
  readonly bytes: number;
  readonly missing: number; // devices and sockets that were not made
}

/**
 * Writes `placed` (see placeEntries) below `directory`, which must be missing or empty. No path goes through a symbolic
 * link: directories come first and are new, links come last. Without root, files are this user's, without setuid and
 * setgid bits, and readable and writable to their owner; devices are left out. Throws ImageError EXTRACT_FAILED.
 */
export async function unpackInto(
  directory: string,
  placed: ReadonlyMap<ArchivePath, PlacedEntry>,
  tools: UnpackTools,
): Promise<Unpacked> {
  await takeDirectory(directory);
  return new Unpacking(directory, placed, tools).run();
}

/** Makes `directory`, closed to everybody else, or takes an empty one. */
async function takeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if ((await readdir(directory)).length === 0) return await chmod(directory, 0o700);
  } catch (error) {
    throw new ImageError(
      'EXTRACT_FAILED',
      `${directory} cannot be written: ${messageOf(error)}; choose another directory`,
      { cause: error },
    );
  }
  throw new ImageError('EXTRACT_FAILED', `${directory} is not empty; name a new or an empty directory`);
}

/** The place of `path` below `directory`, byte for byte. */
export function onDisk(directory: string, path: ArchivePath): Buffer {
  return path === ROOT
    ? Buffer.from(directory)
    : Buffer.from(`${Buffer.from(`${directory}/`).toString('latin1')}${path}`, 'latin1');
}

/** The permissions that a file unpacked without root has on disk. */
export function ownModeOf(mode: number): number {
  return (mode & 0o777) | (isDirectory(mode) ? 0o700 : 0o600);
}

/** What can be done about what the system said. */
const MENDS: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space or choose another directory',
  ENAMETOOLONG:
    'its path is longer than this system takes: choose a directory with a shorter path, or take it out of the image with rackboot image delete',
};

/** The last second that a Date reaches, either side of 1970. */
const FARTHEST = 8.64e12;

/** A time for the file system: of numbers below 0, Node.js makes the time that it is. */
const timeOf = (seconds: number): Date => new Date(Math.min(Math.max(seconds, -FARTHEST), FARTHEST) * 1000);

async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function pointsNowhere(path: ArchivePath): ImageError {
  return new ImageError(
    'EXTRACT_FAILED',
    `${pathToText(path)} is a symbolic link to nothing (its target is empty), which no file system holds; take it out of the image with rackboot image delete`,
  );
}

class Unpacking {
  readonly #directory: string;
  readonly #placed: ReadonlyMap<ArchivePath, PlacedEntry>;
  readonly #tools: UnpackTools;

  constructor(directory: string, placed: ReadonlyMap<ArchivePath, PlacedEntry>, tools: UnpackTools) {
    this.#directory = directory;
    this.#placed = placed;
    this.#tools = tools;
  }

  async run(): Promise<Unpacked> {
    const entries = [...this.#placed];
    const directories = await this.#makeDirectories();
    const { files, bytes } = await this.#writeFiles(
      entries.filter(([, { header }]) => isRegular(header.mode)),
    );
    const special = entries.filter(
      ([, { header }]) => !isRegular(header.mode) && !isDirectory(header.mode) && !isSymlink(header.mode),
    );
    const made = special.filter(([, { header }]) => (header.mode & S_IFMT) !== S_IFSOCK);
    const done = await makeNodes(this.#directory, made, this.#tools.privileged);
    for (const [path, entry] of done) await this.#finish(path, entry);
    const links = entries.filter(([, { header }]) => isSymlink(header.mode));
    for (const [path, entry] of links) {
      if ((entry.target ?? '') === '') throw pointsNowhere(path);
      await this.#at(path, (place) => symlink(Buffer.from(entry.target ?? '', 'latin1'), place));
      await this.#finish(path, entry);
    }
    for (const path of directories.reverse()) {
      const entry = this.#placed.get(path);
      if (entry !== undefined) await this.#finish(path, entry);
      else await this.#at(path, (place) => chmod(place, 0o755));
    }
    return {
      files,
      bytes,
      directories: directories.length,
      links: links.length,
      missing: special.length - done.length,
    };
  }

  /** Makes every directory, parents first, closed to others until all is there; gives them back in that order. */
  async #makeDirectories(): Promise<ArchivePath[]> {
    const directories = new Set<ArchivePath>();
    const add = (path: ArchivePath): void => {
      if (directories.has(path)) return;
      if (path !== ROOT) add(parentOf(path));
      directories.add(path);
    };
    add(ROOT);
    for (const [path, { header }] of this.#placed) add(isDirectory(header.mode) ? path : parentOf(path));
    for (const path of directories)
      if (path !== ROOT) await this.#at(path, (place) => mkdir(place, { mode: 0o700 }));
    return [...directories];
  }

  async #writeFiles(
    entries: readonly (readonly [ArchivePath, PlacedEntry])[],
  ): Promise<{ files: number; bytes: number }> {
    const first = new Map<string, ArchivePath>(); // of the names of one file
    const links: { path: ArchivePath; to: ArchivePath }[] = [];
    let bytes = 0;
    for (const [path, entry] of entries) {
      const inode = inodeOf(entry);
      const to = inode === undefined ? undefined : first.get(inode);
      if (to !== undefined) {
        links.push({ path, to });
        continue;
      }
      if (inode !== undefined) first.set(inode, path);
      bytes += await this.#at(path, (place) => this.#write(place, entry));
      await this.#finish(path, entry);
    }
    for (const { path, to } of links)
      await this.#at(path, (place) => link(onDisk(this.#directory, to), place));
    return { files: entries.length, bytes };
  }

  async #write(place: Buffer, entry: PlacedEntry): Promise<number> {
    const file = await open(place, 'wx', 0o600);
    try {
      const isSparse = entry.tar?.sparse !== undefined;
      let written = 0;
      for await (const chunk of this.#tools.read(entry)) {
        if (!isSparse || !isHole(chunk)) await writeAt(file, chunk, written);
        written += chunk.length;
      }
      if (isSparse) await file.truncate(written);
      return written;
    } finally {
      await file.close();
    }
  }

  /** Gives what stands at `path` its owner, permissions and time: in this order, each undoes something of the next. */
  async #finish(path: ArchivePath, { header }: PlacedEntry): Promise<void> {
    const { mode, uid, gid, mtime } = header;
    const { privileged } = this.#tools;
    await this.#at(path, async (place) => {
      if (privileged) await lchown(place, uid, gid);
      if (!isSymlink(mode)) await chmod(place, privileged ? mode & 0o7777 : ownModeOf(mode));
      await lutimes(place, timeOf(mtime), timeOf(mtime));
    });
  }

  async #at<T>(path: ArchivePath, action: (place: Buffer) => Promise<T>): Promise<T> {
    try {
      return await action(onDisk(this.#directory, path));
    } catch (error) {
      if (codeOf(error) === undefined || error instanceof ImageError) throw error;
      const mend = MENDS[codeOf(error) ?? ''] ?? 'choose another directory';
      throw new ImageError(
        'EXTRACT_FAILED',
        `${pathToText(path)} cannot be written (${codeOf(error) ?? ''}); ${mend}`,
        { cause: error },
      );
    }
  }
}
