/** What an entry of a loader's menu starts. Paths are relative to the root of the media, without a leading `/`. */
export type Started =
  | {
      readonly kind: 'linux';
      readonly kernel: string;
      readonly args: string; // words separated by blanks, double quotes as the kernel reads them
      readonly initrds: readonly string[];
    }
  | {
      readonly kind: 'xen'; // multiboot: a hypervisor, its first guest's kernel, further modules
      readonly hypervisor: string;
      readonly hypervisorArgs: string;
      readonly kernel: string;
      readonly args: string;
      readonly modules: readonly string[];
    }
  | { readonly kind: 'efi'; readonly program: string };

/** One entry of a menu. */
export interface MenuEntry {
  readonly label: string; // what it is chosen by: LABEL of isolinux.cfg, --id of grub.cfg; '' where it has none
  readonly title: string; // what the menu shows
  readonly starts: Started;
}

/** A loader's menu, as far as it says what to boot. */
export interface BootMenu {
  readonly entries: readonly MenuEntry[]; // in the order of the menu, those of submenus among them
  readonly defaultEntry: number; // index of the one that starts by itself
  readonly skipped: readonly string[]; // titles of entries that start something else: the disk, a menu, a tool
}

/** Longest configuration that is read, bytes. */
export const MAX_CONFIG = 1024 * 1024;

/** The words of kernel arguments as text: those with blanks in double quotes. */
export function joinWords(words: readonly string[]): string {
  return words.map((word) => (/\s/.test(word) && !word.includes('"') ? quoteValue(word) : word)).join(' ');
}

/** `name=some value` as `name="some value"`, which is how the kernel shows it. */
function quoteValue(word: string): string {
  const [, name = '', value = word] = /^([A-Za-z0-9_.-]+=)?(.*)$/s.exec(word) ?? [];
  return `${name}"${value}"`;
}

/** `path` as the media has it: no device, no leading slash, no `.` and `..`; relative ones are below `directory`. */
export function mediaPath(path: string, directory: string): string {
  const bare = path.replace(/^\([^()]*\)/, '/');
  const components: string[] = bare.startsWith('/') ? [] : directory.split('/').filter((name) => name !== '');
  for (const name of bare.split('/')) {
    if (name === '..') components.pop();
    else if (name !== '' && name !== '.') components.push(name);
  }
  return components.join('/');
}
