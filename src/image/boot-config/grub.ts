import { joinWords, mediaPath, type BootMenu, type MenuEntry, type Started } from './menu.js';
import { parseScript, type Command, type Word } from './grub-script.js';

/**
 * Reads a grub.cfg: what its menu entries load. Branches of `if` are taken one after the other, and a variable has the
 * value it was last set to. Total: what it does not know it passes by.
 */
export function parseGrub(text: string): BootMenu {
  const entries: MenuEntry[] = [];
  const skipped: string[] = [];
  const lines: number[] = []; // of the menu's lines, which entry is the first at or after each
  const variables = new Map<string, string>();
  const walk = (commands: readonly Command[], top: boolean): void => {
    for (const command of commands) {
      const [name = '', ...args] = expand(command, variables);
      if (name === 'set') assign(args, variables);
      if (top && (name === 'submenu' || name === 'menuentry')) lines.push(entries.length);
      if (name === 'submenu') walk(command.block ?? [], false);
      if (name === 'menuentry') {
        const { title, id } = readHeading(args);
        const starts = startedBy(command.block ?? [], new Map(variables));
        if (starts === undefined) skipped.push(title);
        else entries.push({ label: id, title, starts });
      }
    }
  };
  walk(parseScript(text), true);
  return { entries, defaultEntry: findDefault(entries, lines, variables.get('default') ?? ''), skipped };
}

const KEYWORDS = new Set(['if', 'elif', 'then', 'else', 'do', 'while', 'until', '!', '{']);

/** The words of a command, without the keywords that stand before it. */
function expand(command: Command, variables: ReadonlyMap<string, string>): string[] {
  const words = command.words.flatMap((word) => expandWord(word, variables));
  const first = words.findIndex((word) => !KEYWORDS.has(word));
  return first < 0 ? [] : words.slice(first);
}

/** A word with its variables put in; nothing at all when it is made of empty ones. */
function expandWord(word: Word, variables: ReadonlyMap<string, string>): string[] {
  const [piece, ...more] = word;
  const text = word
    .map((part) => ('text' in part ? part.text : (variables.get(part.variable) ?? '')))
    .join('');
  // A variable alone may hold several words, as `$extra_args` does.
  if (piece !== undefined && 'variable' in piece && more.length === 0)
    return text.split(/\s+/).filter((part) => part !== '');
  return [text];
}

function assign(args: readonly string[], variables: Map<string, string>): void {
  const [, name, value = ''] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(args.join(' ')) ?? [];
  if (name !== undefined) variables.set(name, value);
}

const VALUED = /^--(class|users|hotkey|id)$/;

function readHeading(args: readonly string[]): { title: string; id: string } {
  let title: string | undefined;
  let id = '';
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? '';
    if (VALUED.test(word)) {
      at++;
      if (word === '--id') id = args[at] ?? '';
    } else if (word.startsWith('--id=')) id = word.slice('--id='.length);
    else if (!word.startsWith('--')) title ??= word;
  }
  return { title: title ?? id, id };
}

/** The commands that load something, by what they load. */
const LOADERS: Readonly<Record<string, 'linux' | 'initrd' | 'hypervisor' | 'module' | 'efi'>> = {
  linux: 'linux',
  linux16: 'linux',
  linuxefi: 'linux',
  initrd: 'initrd',
  initrd16: 'initrd',
  initrdefi: 'initrd',
  multiboot: 'hypervisor',
  multiboot2: 'hypervisor',
  xen_hypervisor: 'hypervisor', // of XenServer's GRUB, for xen.efi
  module: 'module',
  module2: 'module',
  xen_module: 'module',
  chainloader: 'efi',
};

interface Loaded {
  readonly file: string;
  readonly args: readonly string[];
}

function startedBy(block: readonly Command[], variables: Map<string, string>): Started | undefined {
  const loaded: Record<'linux' | 'hypervisor' | 'module' | 'efi', Loaded[]> = {
    linux: [],
    hypervisor: [],
    module: [],
    efi: [],
  };
  const initrds: string[] = [];
  for (const command of block) {
    const [name = '', ...words] = expand(command, variables);
    if (name === 'set') assign(words, variables);
    const what = LOADERS[name];
    if (what === undefined) continue;
    const first = words.findIndex((word) => !word.startsWith('--'));
    const [file, ...args] = first < 0 ? [] : words.slice(first);
    if (file === undefined) continue;
    if (what === 'initrd') initrds.push(...[file, ...args].map(fromRoot));
    else loaded[what].push({ file: fromRoot(file), args });
  }
  const [hypervisor] = loaded.hypervisor;
  const [dom0, ...modules] = loaded.module;
  if (hypervisor !== undefined && dom0 !== undefined) {
    return {
      kind: 'xen',
      hypervisor: hypervisor.file,
      hypervisorArgs: joinWords(hypervisor.args),
      kernel: dom0.file,
      args: joinWords(dom0.args),
      modules: modules.map(({ file }) => file),
    };
  }
  const [linux] = loaded.linux;
  const program = /\.efi$/i.test(linux?.file ?? '') && initrds.length === 0 ? linux : loaded.efi[0];
  if (program !== undefined) return isFile(program.file) ? { kind: 'efi', program: program.file } : undefined;
  if (linux === undefined) return undefined;
  return { kind: 'linux', kernel: linux.file, args: joinWords(linux.args), initrds };
}

const fromRoot = (path: string): string => mediaPath(path, '');

/** Not a list of blocks such as `+1`, which is what chainloader takes for the disk's boot sector. */
const isFile = (path: string): boolean => path !== '' && !/(^|\/)\d*\+\d+$/.test(path);

function findDefault(entries: readonly MenuEntry[], lines: readonly number[], wanted: string): number {
  const at = /^\d{1,4}$/.test(wanted)
    ? (lines[Number(wanted)] ?? 0)
    : entries.findIndex(({ label, title }) => wanted !== '' && (label === wanted || title === wanted));
  return at >= 0 && at < entries.length ? at : 0;
}
