import type { BootEntry } from './types.js';

/** What is shown in the place of a password or its hash. */
export const HIDDEN = '(hidden)';

/** Names of settings whose values nobody has to see: `rootpw`, `root_password`, `api-token`. */
const SECRET_NAME = /(?:^|[._-])(?:\w*pw|pass|passphrase|secret|token)(?:$|[._-])|password|passwd/i;

/** A hash of crypt(5): `$6$salt$…`, `$y$j9T$salt$…`, `$2b$12$…`. */
const HASH = /\$(?:\d[a-z]?|2[abxy]|y|gy|7|sha1|md5|argon2\w*)(?:,[\w=,]+)?\$[\w./$=,+-]{8,}/g;

/** `NAME=VALUE` or `--name=value` in a line, where the name is a secret’s. */
const ASSIGNMENT = /([\w.-]+)=(\S+)/g;

/** The value of the setting `name` for people and programs that look: not what is a secret by its name, nor any hash. */
export function shownSetting(name: string, value: string): string {
  return SECRET_NAME.test(name) ? HIDDEN : value.replace(HASH, HIDDEN);
}

/** All of `settings`, shown so. */
export function shownSettings(settings: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, shownSetting(name, value)]),
  );
}

/** A line of words, as a note of the history, a command or a kernel line is, without passwords and their hashes. */
export function shownLine(line: string): string {
  return line
    .replace(HASH, HIDDEN)
    .replace(ASSIGNMENT, (whole, name: string) => (SECRET_NAME.test(name) ? `${name}=${HIDDEN}` : whole));
}

/** A boot entry whose kernel lines are shown so. */
export function shownBoot(entry: BootEntry): BootEntry {
  const args = shownLine(entry.args);
  return entry.kind === 'xen'
    ? { ...entry, args, hypervisorArgs: shownLine(entry.hypervisorArgs) }
    : { ...entry, args };
}
