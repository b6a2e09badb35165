import { OsimageError } from '../../errors.js';

/** The account files that a synclist's MERGE: section may name, and the fields of a line (passwd(5), shadow(5), group(5)). */
export const ACCOUNT_FILES: Readonly<Record<string, number>> = {
  '/etc/passwd': 7,
  '/etc/shadow': 9,
  '/etc/group': 4,
};

/** Text to merge into an account file; `where` names it for errors. Latin-1, as `standing` is. */
export interface AccountMerge {
  readonly target: string; // one of ACCOUNT_FILES
  readonly where: string;
  readonly text: string;
}

/**
 * `standing` with the lines of `merge`: one whose name is there takes the place of that line, others follow. Of several
 * lines with a name the first stays where it is and the rest go, so that no name is left twice. Throws OsimageError
 * BAD_SYNCLIST for lines that are none of the file, by their number: what they say may be secret.
 */
export function mergeAccounts(standing: string, { target, where, text }: AccountMerge): string {
  const fields = ACCOUNT_FILES[target];
  if (fields === undefined) throw new RangeError(`${target} is no account file`);
  const merged = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const found = line.split(':');
    const name = found[0] ?? '';
    if (found.length !== fields || !/^[^\s:+-][^\s:]*$/.test(name)) {
      throw new OsimageError(
        'BAD_SYNCLIST',
        `${where}:${index + 1}: not a line of ${target}: it takes a name and ${fields} fields with colons between them; correct it`,
      );
    }
    merged.set(name, line);
  }
  const seen = new Set<string>();
  const lines: string[] = [];
  for (const line of linesOf(standing)) {
    const name = nameOf(line);
    if (name === undefined) lines.push(line);
    else if (!seen.has(name)) {
      seen.add(name);
      lines.push(merged.get(name) ?? line);
    }
  }
  for (const [name, line] of merged) if (!seen.has(name)) lines.push(line);
  return lines.map((line) => `${line}\n`).join('');
}

/** The days since 1970 that packimage says a password it writes was last changed. */
const CHANGED = 13880;

/** `shadow` with `hash` as root's password: its first line, as packimage writes it; all others stay. */
export function withRootHash(shadow: string, hash: string): string {
  const others = linesOf(shadow).filter((line) => nameOf(line) !== 'root');
  return [`root:${hash}:${CHANGED}:0:99999:7:::`, ...others].map((line) => `${line}\n`).join('');
}

/**
 * The hash in the text of a file that holds one. Throws OsimageError BAD_SETTING for what crypt(5) does not make: a
 * password as it is typed would be in the image for everybody to read. What was read is not shown.
 */
export function requireHash(text: string, where: string): string {
  const hash = text.replace(/\r?\n$/, '');
  if (/^(\*|!{1,2}\*?)$/.test(hash) || /^\$[0-9a-z]{1,12}\$[!-9;-~]{8,500}$/.test(hash)) return hash;
  throw new OsimageError(
    'BAD_SETTING',
    `${where}: holds no password hash; write into it the one line that mkpasswd or openssl passwd -6 prints, or * for no password at all`,
  );
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

/** The name that a line is about; undefined for comments, blank lines and NIS's `+` and `-`. */
function nameOf(line: string): string | undefined {
  const name = /^([^:#+\-\s][^:]*):/.exec(line)?.[1];
  return name === '' ? undefined : name;
}
