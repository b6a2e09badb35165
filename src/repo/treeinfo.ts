import { RepoError } from './errors.js';
import { isInside } from './repomd.js';

/** The file at the top of an install tree that tells installers what it is. */
export const TREEINFO = '.treeinfo';

/** A `.treeinfo`: its sections in order, their names as written; the names of keys in lower case, as installers read them. */
export interface Treeinfo {
  readonly sections: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** The key files that [keys] lists, in order, relative to the tree. Installers fetch the first and no other. */
  readonly keys: readonly string[];
  /** The files that [checksums] lists, as written: those of Anaconda’s trees. */
  readonly checksummed: readonly string[];
}

/**
 * Reads a `.treeinfo` as the installers do, with Python's ConfigParser: `#` and `;` begin a comment line, a line that is
 * indented continues the value before it, `=` or `:` separates. Throws RepoError BAD_TREEINFO, naming the line, for what an
 * installer refuses; `where` names the file.
 */
export function parseTreeinfo(text: string, where: string): Treeinfo {
  if (text.startsWith('\uFEFF'))
    throw refused(where, 1, 'a byte order mark, which installers refuse; remove it');
  if (text.includes('\uFFFD')) throw refused(where, 1, 'bytes that are not UTF-8; write it in UTF-8');
  const sections = new Map<string, Map<string, string>>();
  const checksummed: string[] = [];
  let section: Map<string, string> | undefined;
  let last: string | undefined;
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    const line = at + 1;
    if (raw.trim() === '') continue;
    if (/^\s*[#;]/.test(raw)) continue;
    const header = /^\[([^\]]+)\]/.exec(raw);
    if (header !== null) {
      const name = header[1] ?? '';
      if (sections.has(name)) throw refused(where, line, `a second section [${name}]; join the two`);
      if (name === 'DEFAULT')
        throw refused(
          where,
          line,
          'a section [DEFAULT], whose values installers take for key files; remove it',
        );
      section = new Map();
      sections.set(name, section);
      last = undefined;
      continue;
    }
    if (section === undefined) throw refused(where, line, 'a value before any [section]; move it into one');
    if (/^\s/.test(raw) && last !== undefined) {
      section.set(last, `${section.get(last) ?? ''}\n${raw.trim()}`);
      continue;
    }
    const pair = /^\s*([^=:]+?)\s*[=:]\s*(.*?)\s*$/.exec(raw);
    if (pair === null) throw refused(where, line, `${JSON.stringify(raw)}, which is no "key = value"`);
    const name = (pair[1] ?? '').toLowerCase();
    if (section.has(name)) throw refused(where, line, `a second ${name} in one section; keep one`);
    section.set(name, pair[2] ?? '');
    if (section === sections.get('checksums')) checksummed.push(pair[1] ?? '');
    last = name;
  }
  requireInstallable(sections, where);
  return { sections, keys: [...(sections.get('keys')?.values() ?? [])], checksummed };
}

/** The sections that installers read, and what each must hold when it is there (xcp-ng host-installer, repository.py). */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  'system-v1': ['platform_name', 'platform_version', 'product_name', 'product_version'],
  platform: ['name', 'version'],
  branding: ['name', 'version'],
  build: ['number'],
};

function requireInstallable(sections: Treeinfo['sections'], where: string): void {
  for (const [name, values] of sections) {
    const required = REQUIRED[name] ?? [];
    const missing = required.find((key) => !values.has(key));
    if (missing !== undefined) {
      throw new RepoError(
        'BAD_TREEINFO',
        `${where}: [${name}] has no ${missing}, and installers refuse the tree; add it or remove the section`,
      );
    }
    for (const [key, value] of values) {
      if ((required.length > 0 || name === 'keys') && value.includes('%')) {
        throw new RepoError(
          'BAD_TREEINFO',
          `${where}: [${name}] ${key} holds a %, which installers refuse; write the value without it`,
        );
      }
    }
  }
}

function refused(where: string, line: number, what: string): RepoError {
  return new RepoError('BAD_TREEINFO', `${where}:${line}: ${what}`);
}

/** The product that a tree installs, as its installer reads it: [system-v1], else [platform] and [branding]. */
export function productOf({
  sections,
}: Treeinfo): { readonly name: string; readonly version: string } | undefined {
  const system = sections.get('system-v1');
  const branding = sections.get('branding');
  const name = system?.get('product_name') ?? branding?.get('name');
  const version = system?.get('product_version') ?? branding?.get('version');
  return name === undefined || version === undefined ? undefined : { name, version };
}

/**
 * `.treeinfo` text in which `file` is the one key that is listed: key1; other keys become comments, and a comment that lists
 * `file` goes or becomes the entry again. The rest stays as it is.
 */
export function withKey(text: string, file: string): string {
  parseTreeinfo(text, TREEINFO);
  const lines = withoutKeys(text).split('\n');
  const end = lines.some((line) => line.endsWith('\r')) ? '\r' : '';
  const entry = `key1 = ${file}${end}`;
  const former = formerEntries(lines);
  const again = former[0]?.file === file ? former[0] : undefined; // where it stood, so that it gives the same bytes
  const gone = new Set(former.filter((one) => one.file === file && one !== again).map(({ at }) => at));
  if (again !== undefined) lines[again.at] = again.name === 'key1' ? (lines[again.at] ?? '').slice(1) : entry;
  const kept = lines.filter((_line, at) => !gone.has(at));
  if (again !== undefined) return kept.join('\n');
  const at = kept.findIndex((line) => /^\[keys\]/.test(line));
  if (at >= 0) return kept.toSpliced(at + 1, 0, entry).join('\n');
  const body = kept.join('\n').replace(/\s*$/, '');
  return `${body}${body === '' ? '' : `${end}\n${end}\n`}[keys]${end}\n${entry}\n`;
}

/** `.treeinfo` text with every entry of [keys] made a comment, so that installers check no signature. */
export function withoutKeys(text: string): string {
  let within = false;
  return text
    .split('\n')
    .map((line) => {
      if (line.startsWith('[')) within = /^\[keys\]/.test(line);
      return within && /^\s*[^\s#;[]/.test(line) ? `#${line}` : line;
    })
    .join('\n');
}

/** The key files that `withoutKeys` took off the list of a `.treeinfo`, the last one to be listed first. */
export function formerKeys(text: string): string[] {
  return formerEntries(text.split('\n')).map(({ file }) => file);
}

/** The entries of [keys] that are comments and name a file in the tree: `#key1 = RPM-GPG-KEY-site`. */
function formerEntries(
  lines: readonly string[],
): { readonly at: number; readonly name: string; readonly file: string }[] {
  let within = false;
  return lines.flatMap((line, at) => {
    if (line.startsWith('[')) within = /^\[keys\]/.test(line);
    const [, name = '', file = ''] = (within ? /^#\s*(key\d+)\s*[=:]\s*(\S+)\s*$/i.exec(line) : null) ?? [];
    return isInside(file) ? [{ at, name: name.toLowerCase(), file }] : [];
  });
}

/** `.treeinfo` text in which [checksums], where there is one, gives `sha256` for `path` (Anaconda trees list repomd.xml). */
export function withChecksum(text: string, path: string, sha256: string): string {
  let within = false;
  return text
    .split('\n')
    .map((line) => {
      if (line.startsWith('[')) within = /^\[checksums\]/.test(line);
      const [, name, equals] = (within ? /^([^=:]+?)(\s*[=:]\s*)/.exec(line) : null) ?? [];
      if (name !== path || equals === undefined) return line;
      return `${name}${equals}sha256:${sha256}${line.endsWith('\r') ? '\r' : ''}`;
    })
    .join('\n');
}

/** `.treeinfo` text in which [checksums] says nothing of `path`. */
export function withoutChecksum(text: string, path: string): string {
  let within = false;
  let isDropped = false; // the entry of this line, which may go on on the next
  return text
    .split('\n')
    .filter((line) => {
      if (line.startsWith('[')) within = /^\[checksums\]/.test(line);
      if (!/^\s/.test(line)) isDropped = within && /^([^=:]+?)\s*[=:]/.exec(line)?.[1] === path;
      return !isDropped || line.trim() === '';
    })
    .join('\n');
}
