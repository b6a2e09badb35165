import { OsimageError } from '../../errors.js';
import { ACCOUNT_FILES } from './accounts.js';

/** Files to copy into the image: patterns of local paths, and where they go; `line` names the entry for errors. */
export interface SyncCopy {
  readonly sources: readonly string[]; // absolute; * ? and [] are patterns
  readonly target: string; // absolute
  readonly line: string;
}

/** A local file whose content is added to a file of the image. */
export interface SyncAddition {
  readonly source: string; // absolute
  readonly target: string; // absolute
  readonly line: string;
}

/** What a synclist says (xCAT's documentation, "The synclist file"), section by section. */
export interface Synclist {
  readonly copies: readonly SyncCopy[];
  readonly appends: readonly SyncAddition[];
  readonly merges: readonly SyncAddition[];
  readonly scripts: readonly string[]; // of EXECUTE: and EXECUTEALWAYS:, which nodes run
  readonly forSomeNodes: readonly string[]; // lines with a noderange, which are for an image of no nodes
}

const SECTIONS = ['EXECUTE', 'EXECUTEALWAYS', 'APPEND', 'MERGE'] as const;
type Section = (typeof SECTIONS)[number] | 'COPY';

/**
 * Reads a synclist; `file` is its name for messages. Throws OsimageError BAD_SYNCLIST for a section that there is not, a
 * line that is none of its section, and additions to a file that the list copies as well.
 */
export function parseSynclist(text: string, file: string): Synclist {
  const copies: SyncCopy[] = [];
  const appends: SyncAddition[] = [];
  const merges: SyncAddition[] = [];
  const scripts: string[] = [];
  const forSomeNodes: string[] = [];
  let section: Section = 'COPY';
  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const line = whole.replace(/(^|\s)#.*$/, '').trim();
    const where = `${file}:${index + 1}`;
    if (line === '') continue;
    const header = /^([A-Za-z]+):$/.exec(line)?.[1];
    if (header !== undefined) {
      section = sectionOf(header, where);
      continue;
    }
    if (section === 'EXECUTE' || section === 'EXECUTEALWAYS') {
      scripts.push(requirePath(line, where));
      continue;
    }
    const { sources, nodes, target } = entryOf(line, where);
    if (nodes !== undefined) forSomeNodes.push(where);
    else if (section === 'COPY') copies.push({ sources, target, line: where });
    else {
      const [source, ...others] = sources;
      if (source === undefined || others.length > 0)
        throw wrong(where, `${section}: takes one file before the arrow; write a line for each`);
      (section === 'APPEND' ? appends : merges).push({ source, target, line: where });
    }
  }
  requireSeparate(copies, appends, merges);
  return { copies, appends, merges, scripts, forSomeNodes };
}

function sectionOf(header: string, where: string): Section {
  const found = SECTIONS.find((name) => name === header);
  if (found !== undefined) return found;
  throw wrong(
    where,
    `${header}: is no section of a synclist; there are ${SECTIONS.map((name) => `${name}:`).join(', ')}`,
  );
}

interface Entry {
  readonly sources: readonly string[];
  readonly nodes: string | undefined; // a noderange
  readonly target: string;
}

function entryOf(line: string, where: string): Entry {
  const parts = line.split(/\s+->\s+/);
  const [left = '', right = ''] = parts;
  const found = /^(?:\((.*)\)\s*)?(\S+)$/.exec(right);
  if (parts.length !== 2 || found === null)
    throw wrong(where, 'write it as: /local/file -> /file/in/the/image');
  const sources = left.split(/\s+/).map((source) => requirePath(source, where));
  return { sources, nodes: found[1], target: requirePath(found[2] ?? '', where) };
}

function requirePath(path: string, where: string): string {
  if (/^\/\S*$/.test(path) && !/(^|\/)\.\.(\/|$)/.test(path)) return path;
  throw wrong(where, `${path.slice(0, 80)}: paths begin with / and hold no .. ; write it in full`);
}

/** Throws BAD_SYNCLIST for what xCAT leaves undefined, and for a merge into a file that is none of accounts. */
function requireSeparate(
  copies: readonly SyncCopy[],
  appends: readonly SyncAddition[],
  merges: readonly SyncAddition[],
): void {
  const copied = new Set(copies.map(({ target }) => target));
  for (const { target, line } of [...appends, ...merges]) {
    if (copied.has(target))
      throw wrong(line, `${target} is copied by this list already; add to the file that is copied`);
  }
  for (const { target, line } of merges) {
    if (ACCOUNT_FILES[target] === undefined)
      throw wrong(line, `${target}: MERGE: takes ${Object.keys(ACCOUNT_FILES).join(', ')}; use APPEND:`);
  }
  const merged = new Set(merges.map(({ target }) => target));
  for (const { target, line } of appends) {
    if (merged.has(target)) throw wrong(line, `${target} is merged into by this list; use MERGE: for it`);
  }
}

const wrong = (where: string, what: string): OsimageError =>
  new OsimageError('BAD_SYNCLIST', `${where}: ${what}`);
