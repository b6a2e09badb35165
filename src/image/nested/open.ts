import { ChunkReader } from '../chunks.js';
import { ImageError } from '../errors.js';
import { fileSource } from '../iso/source.js';
import { sniff } from '../codec.js';
import { DEFAULT_LIMITS, type UnpackLimits } from '../unpack-limits.js';
import { openArchiveStream } from './archive-stream.js';
import { fileAt, pathOf, type Contents, type ReadableFile } from './contents.js';
import { openIsoContents } from './iso.js';
import { spoolFile } from '../spool.js';
import { openSquashfs } from '../squashfs/contents.js';

/** A place where paths begin: an image, an ISO, and what a file of theirs holds. */
export interface Outside {
  /** Whether something stands at `path`, taken literally. */
  has(path: string): boolean;
  /** The regular file that `path` reaches; undefined when none does. */
  file(path: string): ReadableFile | undefined;
}

/** What a path with colons reaches: the contents of the innermost file, and the path in them. */
export interface Inside {
  readonly contents: Contents;
  readonly path: string; // `/` when the text ends in a colon
  readonly where: string; // names the innermost file
}

/** Files that are looked into one inside the other, at most. */
const MAX_DEPTH = 4;

/** Where an ISO image says what it is: the first volume descriptor's identifier (ECMA-119 §8.1.2). */
const ISO_IDENTIFIER = 16 * 2048 + 1;

/**
 * Runs `body` on what `text`, as in `live/filesystem.squashfs:etc/passwd`, reaches beyond its colons; gives back
 * undefined without running it when `text` names nothing inside of a file. Of what a colon can mean, a name that has it
 * comes first. Throws ImageError TOO_DEEP, and whatever is wrong with the files on the way, naming them.
 */
export async function lookInside<T>(
  outside: Outside,
  text: string,
  body: (inside: Inside) => Promise<T>,
  limits: UnpackLimits = DEFAULT_LIMITS,
): Promise<{ readonly result: T } | undefined> {
  const open: { close(): Promise<void> }[] = [];
  try {
    let inside: Inside | undefined;
    let from = outside;
    let rest = text;
    for (let depth = 1; ; depth++) {
      const step = splitAtColon(from, rest);
      if (step === undefined) break;
      const { file } = step;
      if (depth > MAX_DEPTH) {
        throw new ImageError(
          'TOO_DEEP',
          `${file.where} lies ${MAX_DEPTH} files deep already; extract it and look into the file`,
        );
      }
      const opened = await named(file.where, () => openContents(file, limits));
      open.push(opened);
      rest = step.rest;
      inside = { contents: opened.contents, path: rest, where: file.where };
      from = insideOf(inside);
    }
    if (inside === undefined) return undefined;
    const reached = { ...inside, path: rest === '' ? '/' : rest };
    return { result: await named(inside.where, () => body(reached)) };
  } finally {
    for (const one of open.reverse()) await one.close();
  }
}

/** The file before the last colon at which one can be looked into, and what follows that colon. */
function splitAtColon(
  from: Outside,
  text: string,
): { readonly file: ReadableFile; readonly rest: string } | undefined {
  if (from.has(text)) return undefined;
  for (let at = text.lastIndexOf(':'); at > 0; at = text.lastIndexOf(':', at - 1)) {
    const file = from.file(text.slice(0, at));
    if (file !== undefined) return { file, rest: text.slice(at + 1) };
  }
  return undefined;
}

/** A tree of entries as a place where paths begin. `where` names it. */
export function insideOf({ contents, where }: Pick<Inside, 'contents' | 'where'>): Outside {
  return {
    has: (path) => path === '' || contents.tree.seek(pathOf(path)) !== undefined,
    file: (path) => fileAt(contents, path, where),
  };
}

async function openContents(
  file: ReadableFile,
  limits: UnpackLimits,
): Promise<{ readonly contents: Contents; close(): Promise<void> }> {
  const format = await formatOf(file);
  if (format === 'archive') {
    return { contents: await openArchiveStream(file, limits), close: () => Promise.resolve() };
  }
  const spool = await spoolFile(file.read(), limits.maxSize, file.where);
  try {
    const contents =
      format === 'iso'
        ? await openIsoContents(fileSource(spool.handle, spool.size))
        : await openSquashfs(spool.path);
    return { contents, close: () => spool.close() };
  } catch (error) {
    await spool.close();
    throw error;
  }
}

async function formatOf(file: ReadableFile): Promise<'archive' | 'squashfs' | 'iso'> {
  const reader = new ChunkReader(file.read());
  try {
    const start = await reader.peek(ISO_IDENTIFIER + 5);
    if (sniff(start) === 'squashfs') return 'squashfs';
    return ['CD001', 'BEA01'].includes(start.toString('latin1', ISO_IDENTIFIER)) ? 'iso' : 'archive';
  } finally {
    await reader.close();
  }
}

async function named<T>(where: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ImageError) || error.message.startsWith(where)) throw error;
    throw new ImageError(error.code, `${where}: ${error.message}`, { cause: error });
  }
}
