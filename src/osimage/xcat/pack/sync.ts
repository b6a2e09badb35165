import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { collect } from '../../../image/chunks.js';
import { isDirectory, isRegular } from '../../../image/cpio/header.js';
import { parentOf, ROOT, type ArchivePath } from '../../../image/cpio/path.js';
import { contentOf, type Edit } from '../../../image/edit.js';
import { ImageError } from '../../../image/errors.js';
import { unreadable } from '../../../image/local-file.js';
import { alterEntries, openGathered } from '../../../image/unpacked/alter.js';
import type { GatheredEntry } from '../../../image/unpacked/gather.js';
import { OsimageError } from '../../errors.js';
import { mergeAccounts } from './accounts.js';
import { expandPattern, imagePath, isPattern, putLocal } from './local-edits.js';
import { parseSynclist, type SyncAddition, type SyncCopy } from './synclist.js';

/** Larger files are no text that lines are added to. */
const MAX_TEXT = 16 * 1024 * 1024; // bytes

/** What making a synclist's changes takes. */
export interface SyncContext {
  readonly owners: 'kept' | 'root'; // whether copies belong to whom the local files do: as root
  readonly mtime: number; // of new directories, seconds
  readonly note: (line: string) => void;
}

/**
 * `entries` with what the synclist in `file` does at packing time: copies, then APPEND: and MERGE:. What nodes do with it
 * is noted. Throws OsimageError BAD_SYNCLIST, ImageError UNREADABLE and what putting files throws.
 */
export async function applySynclist(
  entries: readonly GatheredEntry[],
  file: string,
  { owners, mtime, note }: SyncContext,
): Promise<GatheredEntry[]> {
  const { copies, appends, merges, scripts, forSomeNodes } = parseSynclist(
    Buffer.from(await textOf(file), 'latin1').toString('utf8'),
    file,
  );
  for (const line of forSomeNodes)
    note(`${line}: left out, it is for some nodes and the image is for all; they get it by xCAT’s syncfiles`);
  if (scripts.length > 0)
    note(`${file}: ${scripts.join(', ')}: not run, EXECUTE: and EXECUTEALWAYS: are for nodes that run`);
  let now = alterEntries(entries, await copyAll(entries, copies, owners), mtime);
  for (const append of appends) {
    now = await withText(now, append, mtime, (standing, added) => standing + added);
  }
  for (const merge of merges) {
    const { source: where, target } = merge;
    now = await withText(now, merge, mtime, (standing, text) =>
      mergeAccounts(standing, { target, where, text }),
    );
  }
  return now;
}

/** The edits of all `copies`; a line sees the directories that earlier ones make. */
async function copyAll(
  entries: readonly GatheredEntry[],
  copies: readonly SyncCopy[],
  owners: SyncContext['owners'],
): Promise<Edit[]> {
  const { tree } = openGathered(entries);
  const made = new Set<ArchivePath>();
  const isMade = (path: ArchivePath): boolean => {
    const standing = tree.seek(path);
    return made.has(path) || (standing !== undefined && isDirectory(standing.header.mode));
  };
  const edits: Edit[] = [];
  for (const copy of copies) {
    for (const edit of await copyEdits(copy, owners, isMade)) {
      edits.push(edit);
      if (edit.op !== 'put') continue;
      const last = isDirectory(edit.mode) ? edit.path : parentOf(edit.path);
      for (let up = last; !made.has(up) && up !== ROOT; up = parentOf(up)) made.add(up);
    }
  }
  return edits;
}

/** The edits of one line: a lone file goes to the name given, anything else below it, as do files for a directory. */
async function copyEdits(
  { sources, target, line }: SyncCopy,
  owners: SyncContext['owners'],
  isDirectoryAt: (path: ArchivePath) => boolean,
): Promise<Edit[]> {
  const local: string[] = [];
  for (const source of sources) {
    const found = isPattern(source) ? await expandPattern(source) : [source];
    if (found.length === 0)
      throw new OsimageError('BAD_SYNCLIST', `${line}: nothing matches ${source}; correct it or take it out`);
    local.push(...found);
  }
  const several = sources.length > 1 || sources.some(isPattern) || target.endsWith('/');
  const below = several || isDirectoryAt(imagePath(target));
  const edits: Edit[] = [];
  for (const source of local) {
    const to = below ? path.posix.join(target, path.basename(source)) : target;
    edits.push(...(await asked(line, putLocal(source, to, { from: line, owners }))));
  }
  return edits;
}

/** What `work` gives; what it has against a local file is told with the synclist's line that names it. */
async function asked<T>(line: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(error.code, `${line}: ${error.message}`, { cause: error });
  }
}

/** `entries` with the text of a file of the image made anew of itself and a local file's; its owner and mode stay. */
async function withText(
  entries: readonly GatheredEntry[],
  { source, target, line }: SyncAddition,
  mtime: number,
  join: (standing: string, added: string) => string,
): Promise<GatheredEntry[]> {
  const standing = await readImageText(entries, target);
  if (standing === undefined) {
    throw new OsimageError(
      'BAD_SYNCLIST',
      `${line}: ${target} is no text file of the image, and only to such can something be added; copy one there`,
    );
  }
  const content = contentOf(Buffer.from(join(standing.text, await asked(line, textOf(source))), 'latin1'));
  const { header, path: at } = standing.entry;
  const { mode, uid, gid } = header;
  return alterEntries(entries, [{ op: 'put', path: at, mode, uid, gid, content, from: line }], mtime);
}

/** The text of a file of the image, latin-1, links followed; undefined where no regular file of a text's size is. */
export async function readImageText(
  entries: readonly GatheredEntry[],
  target: string,
): Promise<{ readonly text: string; readonly entry: Pick<GatheredEntry, 'path' | 'header'> } | undefined> {
  const gathered = openGathered(entries);
  const { tree } = gathered;
  const entry = tree.seek(imagePath(target));
  if (entry === undefined || !isRegular(entry.header.mode) || tree.dataOf(entry).header.size > MAX_TEXT)
    return undefined;
  return { text: (await collect(gathered.read(entry))).toString('latin1'), entry };
}

/** The text of a local file, latin-1. Throws ImageError UNREADABLE. */
export async function textOf(file: string): Promise<string> {
  return readFile(file, 'latin1').catch((error: unknown) => {
    throw unreadable(file, error);
  });
}
