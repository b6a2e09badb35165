import { BootError } from './errors.js';

/** How long a line may be, in bytes, and whose limit that is. */
export interface LineLimit {
  readonly bytes: number;
  readonly taker: string;
}

/** Linux on x86: COMMAND_LINE_SIZE less its NUL. */
export const LINUX_LINE: LineLimit = { bytes: 2047, taker: 'Linux' };

/** Xen: its own line (cmdline_t) and the one it hands its first guest (MAX_GUEST_CMDLINE), less their NUL. */
export const XEN_LINE: LineLimit = { bytes: 1023, taker: 'Xen' };

/**
 * The words of a kernel line, split where the kernel splits (lib/cmdline.c: next_arg): white space outside of double
 * quotes. Quotes stay in the words. Throws BootError BAD_ARGUMENTS for an open quote, control or non-ASCII characters,
 * and lines longer than `limit`.
 */
export function splitArguments(text: string, limit: LineLimit = LINUX_LINE): string[] {
  const words = text.trim().match(/(?:"[^"]*"|[^\s"])+|"/g) ?? [];
  const line = words.join(' ');
  if (words.some((word) => (word.split('"').length - 1) % 2 !== 0)) {
    throw new BootError(
      'BAD_ARGUMENTS',
      `boot arguments have an open double quote: ${excerpt(line)}; close it`,
    );
  }
  if (/[^\x20-\x7e]/.test(line)) {
    throw new BootError(
      'BAD_ARGUMENTS',
      `boot arguments hold other than printable ASCII: ${excerpt(line)}; encode it`,
    );
  }
  if (line.length > limit.bytes) {
    throw new BootError(
      'BAD_ARGUMENTS',
      `boot arguments are ${line.length} bytes long and ${limit.taker} takes ${limit.bytes}; move settings into the answer file`,
    );
  }
  return words;
}

/**
 * `words` for an iPXE command. iPXE splits at white space, joins with one blank, has no quotes and no escapes: what it
 * would read as a setting, a separator or a comment cannot be passed (src/core/exec.c: expand_command, split_command).
 */
export function ipxeArguments(words: readonly string[]): string {
  for (const word of words) {
    const [culprit] =
      /\$\{|\s{2,}/.exec(word) ?? word.split(' ').filter((part) => /^(?:;|&&|\|\||#.*)$/.test(part));
    if (culprit !== undefined) throw unsayable('iPXE', culprit, word);
  }
  return words.join(' ');
}

/** `words` for PXELINUX or ISOLINUX, which pass the rest of an APPEND line on as it is. */
export function syslinuxArguments(words: readonly string[]): string {
  if (words[0] === '-') throw unsayable('PXELINUX', '-', words.join(' '));
  return words.join(' ');
}

/** The words of mboot.c32's line: modules, each a file with its arguments, that `---` keeps apart. */
export function mbootArguments(modules: readonly (readonly [file: string, ...words: string[]])[]): string {
  for (const [, ...words] of modules) {
    const culprit = words.find((word) => /^-{3,}$/.test(word));
    if (culprit !== undefined) throw unsayable('mboot.c32', culprit, words.join(' '));
  }
  return modules.map((words) => words.join(' ')).join(' --- ');
}

/**
 * `words` for a GRUB script: each one word in single quotes. GRUB writes quotes of its own around a word with blanks,
 * and a backslash before every quote and backslash (loader/lib/cmdline.c), so the kernel's quotes are taken off and
 * words that hold such characters cannot be passed.
 */
export function grubArguments(words: readonly string[]): string {
  return words
    .map((word) => {
      const bare = word.replaceAll('"', '');
      if (/['\\]/.test(bare)) throw unsayable('GRUB', /['\\]/.exec(bare)?.[0] ?? '', word);
      return grubQuote(bare);
    })
    .join(' ');
}

/** `text` as one word of a GRUB script. */
export function grubQuote(text: string): string {
  return /^[A-Za-z0-9._/:=,@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The path of an artifact in a URL: what is not plain is percent-encoded, `+` is kept. */
export function encodePath(path: string): string {
  return path.replace(/[^A-Za-z0-9._~+@,:=/-]/gu, (letter) =>
    [...Buffer.from(letter)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** The path of an artifact for a loader that takes file names as they are. Throws BootError BAD_PATH. */
export function plainPath(path: string, loader: string): string {
  if (!/^[\x21-\x7e]+$/.test(path) || path.includes(',')) {
    throw new BootError(
      'BAD_PATH',
      `${loader} cannot name the file ${JSON.stringify(path)}; rename it without blanks, commas or non-ASCII letters`,
    );
  }
  return path;
}

/** `text` as a comment or a message on one line. */
export function plainLine(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').replaceAll('${', '$ {');
}

function unsayable(loader: string, culprit: string, word: string): BootError {
  return new BootError(
    'BAD_ARGUMENTS',
    `boot argument ${excerpt(word)}: ${loader} cannot pass '${culprit}' to the kernel; write it another way or move it into the answer file`,
  );
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
