import { mediaPath, type BootMenu, type MenuEntry, type Started } from './menu.js';

/** A LABEL section as it stands. */
interface Section {
  readonly label: string;
  title?: string;
  menuDefault: boolean;
  started?: { readonly directive: string; readonly value: string };
  append?: string;
  initrd?: string;
}

/**
 * Reads isolinux.cfg or a file of pxelinux.cfg/ that lies in `directory` of the media (Syslinux wiki, "Config").
 * What it includes is to be in it already (readIncludes). Total: what it does not know it passes by.
 */
export function parseSyslinux(text: string, directory: string): BootMenu {
  const sections: Section[] = [];
  const settings: { default?: string; onTimeout?: string; append?: string } = {};
  let helpText = false;
  for (const line of text.split(/\r?\n/)) {
    const [, keyword = '', value = ''] = /^\s*(\S+)\s*(.*?)\s*$/.exec(line) ?? [];
    const directive = keyword.toLowerCase();
    if (helpText) {
      helpText = directive !== 'endtext';
      continue;
    }
    if (directive === 'text' && /^help\b/i.test(value)) helpText = true;
    const section = sections.at(-1);
    if (directive === 'label') sections.push({ label: value, menuDefault: false });
    else if (directive === 'default') settings.default = value;
    else if (directive === 'ontimeout') settings.onTimeout = value;
    else if (section === undefined) {
      if (directive === 'append') settings.append = value;
    } else readSectionLine(section, directive, value);
  }
  return menuOf(sections, settings, directory);
}

const STARTERS = new Set([
  'kernel',
  'linux',
  'com32',
  'boot',
  'bss',
  'pxe',
  'fdimage',
  'config',
  'localboot',
]);

function readSectionLine(section: Section, directive: string, value: string): void {
  if (STARTERS.has(directive)) section.started = { directive, value };
  else if (directive === 'append') section.append = value;
  else if (directive === 'initrd') section.initrd = value;
  else if (directive === 'menu') {
    const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(value) ?? [];
    if (word.toLowerCase() === 'label') section.title = rest.replaceAll('^', '').trim();
    if (word.toLowerCase() === 'default') section.menuDefault = true;
  }
}

function menuOf(
  sections: readonly Section[],
  settings: { readonly default?: string; readonly onTimeout?: string; readonly append?: string },
  directory: string,
): BootMenu {
  const entries: MenuEntry[] = [];
  const skipped: string[] = [];
  let menuDefault: number | undefined;
  for (const section of sections) {
    const starts = startedBy(section, settings.append ?? '', directory);
    const title = section.title ?? section.label;
    if (starts === undefined) {
      skipped.push(title);
      continue;
    }
    if (section.menuDefault) menuDefault ??= entries.length;
    entries.push({ label: section.label, title, starts });
  }
  const named = (label: string | undefined): number | undefined => {
    const at = entries.findIndex((entry) => label !== undefined && entry.label === label.split(/\s/)[0]);
    return at < 0 ? undefined : at;
  };
  const defaultEntry = named(settings.onTimeout) ?? named(settings.default) ?? menuDefault ?? 0;
  return { entries, defaultEntry, skipped };
}

function startedBy(section: Section, globalAppend: string, directory: string): Started | undefined {
  const { directive, value } = section.started ?? { directive: 'kernel', value: section.label };
  const [file = '', ...own] = value.split(/\s+/);
  const append = section.append === '-' ? '' : (section.append ?? globalAppend);
  const words = [...own, ...append.split(/\s+/)].filter((word) => word !== '');
  const path = (name: string): string => mediaPath(name, directory);
  if (/(^|\/)mboot\.c32$/i.test(file)) return multiboot(words, path);
  if (directive === 'linux' || (directive === 'kernel' && isLinux(file))) {
    const inline = words.filter((word) => word.startsWith('initrd='));
    const initrds = [section.initrd ?? '', ...inline.map((word) => word.slice('initrd='.length))];
    return {
      kind: 'linux',
      kernel: path(file),
      args: words.filter((word) => !word.startsWith('initrd=')).join(' '),
      initrds: initrds
        .flatMap((list) => list.split(','))
        .filter((name) => name !== '')
        .map(path),
    };
  }
  return undefined;
}

/**
 * Whether KERNEL takes the file for a kernel: what it is shows in its name (Syslinux wiki, "KERNEL"). `.bin` would be a
 * boot sector there, yet is what memory tests are called, which are kernels.
 */
function isLinux(file: string): boolean {
  return !/\.(c32|com|cbt|0|bs|bss|img)$/i.test(file);
}

/** `APPEND xen ARGS --- kernel ARGS --- module …`, as mboot.c32 takes it. */
function multiboot(words: readonly string[], path: (name: string) => string): Started | undefined {
  const runs: string[][] = [[]];
  for (const word of words) {
    if (word === '---') runs.push([]);
    else runs.at(-1)?.push(word);
  }
  const [[hypervisor, ...hypervisorArgs] = [], [kernel, ...args] = [], ...modules] = runs;
  if (hypervisor === undefined || kernel === undefined) return undefined;
  return {
    kind: 'xen',
    hypervisor: path(hypervisor),
    hypervisorArgs: hypervisorArgs.join(' '),
    kernel: path(kernel),
    args: args.join(' '),
    modules: modules.flatMap(([file]) => (file === undefined ? [] : [path(file)])),
  };
}
