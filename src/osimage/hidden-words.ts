import type { BootEntry } from './types.js';

/** What is shown in the place of a password or its hash. */
export const HIDDEN = '(hidden)';

/** Names whose values nobody has to see: `rootpw`, `root_password`, `api-token`, `rootPass`. */
const SECRET_NAME = /pass(?:word|wd|phrase)|secret|pwhash|(?:^|[._-])(?:pass|token|\w{0,32}pw)(?:$|[._-])/i;
const SECRET_END = /[a-z](?:Pass|Token|Pw)(?![a-z])/;

/** A hash of crypt(5): `$6$salt$…`, `$y$j9T$salt$…`, `$2b$12$…`. */
const HASH = /\$(?:\d[a-z]?|2[abxy]|y|gy|7|sha1|md5|argon2\w*)(?:,[\w=,]+)?\$[\w./$=,+-]{8,}/g;

/** Who somebody is to a server, in its URL, and in the kernel’s `netroot=iscsi:user:password@server`. */
const USER_INFO = /(:\/\/[^\s/@:]{0,256}:)[^\s/@]{1,256}@/g;
const ISCSI_USER = /\biscsi:[^\s@]{1,256}@/g;

/** `--name value`, where the value is no option itself. */
const OPTION = /(?<=^|\s)(--[\w-]{1,64})(\s+)(?!-)\S+/g;

/** The part of a line before `=` that is a name, at its end; longer names are told by their last letters. */
const NAME = /[\w.-]+$/;
const NAME_LENGTH = 64;

const isSecret = (name: string): boolean => SECRET_NAME.test(name) || SECRET_END.test(name);

/** The value of the setting `name` for people and programs that look: not what is a secret by its name, nor what it holds. */
export function shownSetting(name: string, value: string): string {
  return isSecret(name) ? HIDDEN : shownLine(value);
}

/** All of `settings`, shown so. */
export function shownSettings(settings: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, shownSetting(name, value)]),
  );
}

/**
 * A line of words, as a note of the history, a command or a kernel line is, without passwords and their hashes. Takes time
 * in proportion to its length: notes may hold anything.
 */
export function shownLine(line: string): string {
  return withoutAssigned(
    line
      .replace(HASH, HIDDEN)
      .replace(USER_INFO, `$1${HIDDEN}@`)
      .replace(ISCSI_USER, `iscsi:${HIDDEN}@`)
      .replace(OPTION, (whole, name: string, space: string) =>
        isSecret(name) ? `${name}${space}${HIDDEN}` : whole,
      ),
  );
}

/** `line` without the values of `name=value`, wherever the name of a secret is before a `=`. */
function withoutAssigned(line: string): string {
  let shown = '';
  let done = 0;
  for (let at = line.indexOf('='); at >= 0; at = line.indexOf('=', Math.max(at + 1, done))) {
    const from = Math.max(done, at - NAME_LENGTH);
    const name = NAME.exec(line.slice(from, at));
    if (name === null || !isSecret(name[0])) continue;
    shown += line.slice(done, at + 1) + HIDDEN;
    done = endOfValue(line, at + 1, line[from + name.index - 1]);
  }
  return shown + line.slice(done);
}

/** Where the value at `start` ends: at the quote that closes it or the word it is in, or else at white space. */
function endOfValue(line: string, start: number, before: string | undefined): number {
  const first = line[start];
  if (first === '"' || first === "'") return indexOr(line, line.indexOf(first, start + 1) + 1);
  if (before === '"' || before === "'") return indexOr(line, line.indexOf(before, start));
  WHITE.lastIndex = start;
  return WHITE.exec(line)?.index ?? line.length;
}

const WHITE = /\s/g;

/** `index`, or the end of the line where nothing was found. */
const indexOr = (line: string, index: number): number => (index > 0 ? index : line.length);

/** A boot entry whose kernel lines are shown so. */
export function shownBoot(entry: BootEntry): BootEntry {
  const args = shownLine(entry.args);
  return entry.kind === 'xen'
    ? { ...entry, args, hypervisorArgs: shownLine(entry.hypervisorArgs) }
    : { ...entry, args };
}
