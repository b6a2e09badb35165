import { Argument, type Command, type Option } from 'commander';
import type { Context } from './context.js';

/** What a completion may ask of the site, when the words before it do not settle it. */
export interface Names {
  osimages(): Promise<readonly string[]>;
  nodes(): Promise<readonly string[]>;
}

/** What can stand where the last of `words` is being typed; `words` are those after the program's name. */
export async function complete(program: Command, words: readonly string[], names: Names): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  let command = program;
  let position = 0;
  let pending: Option | undefined; // an option that still wants its value
  for (const word of words.slice(0, -1)) {
    if (pending !== undefined) {
      pending = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const option = optionsOf(command).find(({ long, short }) => long === word || short === word);
      if (option !== undefined && (option.required || option.optional)) pending = option;
      continue;
    }
    const sub = command.commands.find(
      (candidate) => candidate.name() === word || candidate.aliases().includes(word),
    );
    if (sub !== undefined) {
      command = sub;
      position = 0;
    } else {
      position++;
    }
  }
  const all = await candidates(command, position, pending, typed, names);
  return all.filter((candidate) => candidate.startsWith(typed)).sort();
}

async function candidates(
  command: Command,
  position: number,
  pending: Option | undefined,
  typed: string,
  names: Names,
): Promise<readonly string[]> {
  if (pending !== undefined) {
    if (pending.long === '--node') return names.nodes();
    return pending.argChoices ?? [];
  }
  if (typed.startsWith('-'))
    return optionsOf(command).flatMap(({ long }) => (long === undefined ? [] : [long]));
  if (command.commands.length > 0) return command.commands.map((sub) => sub.name());
  const argument = command.registeredArguments[position] ?? command.registeredArguments.at(-1);
  return argument === undefined ? [] : forArgument(argument, names);
}

async function forArgument(argument: Argument, names: Names): Promise<readonly string[]> {
  if (argument.argChoices !== undefined) return argument.argChoices;
  if (argument.name().startsWith('osimage')) return names.osimages();
  if (/^(node|noderange|range)/.test(argument.name())) return names.nodes();
  if (argument.name() === 'target') {
    return ['boot', 'offline', 'stat', ...(await names.osimages()).map((name) => `osimage=${name}`)];
  }
  return [];
}

/** Options of a command and of those above it. */
function optionsOf(command: Command): Option[] {
  return command.parent === null ? [...command.options] : [...command.options, ...optionsOf(command.parent)];
}

/**
 * The words as they were typed: bash splits them at `=`, and completes what follows the last. `typedBefore` counts the
 * characters of the last word that are not to be said again then.
 */
function joinAtEquals(split: readonly string[]): { readonly words: string[]; readonly typedBefore: number } {
  const words: string[] = [];
  let typedBefore = 0;
  split.forEach((word, at) => {
    const before = words.at(-1);
    const isSplit = before !== undefined && (word === '=' || (split[at - 1] === '=' && before.endsWith('=')));
    typedBefore = isSplit ? before.length + (word === '=' ? 1 : 0) : 0;
    if (isSplit) words[words.length - 1] = before + word;
    else words.push(word);
  });
  return { words, typedBefore };
}

/** The directory behind --site in `words`, the last of which is still being typed. */
function siteIn(words: readonly string[]): string | undefined {
  const whole = words.slice(0, -1);
  const at = whole.findLastIndex((word) => word === '--site' || word.startsWith('--site='));
  const word = whole[at];
  if (word === undefined) return undefined;
  return word === '--site' ? whole[at + 1] : word.slice('--site='.length);
}

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_rackboot() {
  local IFS=$'\\n'
  COMPREPLY=($(rackboot complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -o nosort -F _rackboot rackboot
`,
  zsh: `#compdef rackboot
_rackboot() {
  local -a found
  found=("\${(@f)$(rackboot complete -- "\${words[@]:1:$((CURRENT - 1))}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _rackboot rackboot
`,
  fish: `complete -c rackboot -a '(rackboot complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
};

export function registerCompletion(program: Command, context: Context): void {
  program
    .command('completion')
    .summary('print a script that completes commands in your shell')
    .description('Prints a script for your shell; load it where the shell starts.')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SCRIPTS)))
    .addHelpText('after', '\nExample:\n  source <(rackboot completion bash)')
    .action((shell: string) => {
      context.stdout.write(SCRIPTS[shell] ?? '');
    });

  program
    .command('complete', { hidden: true })
    .description('Prints what can be typed next, one word a line; the completion scripts call it.')
    .argument('[words...]')
    .action(async (split: string[]) => {
      const { words, typedBefore } = joinAtEquals(split);
      const site = siteIn(words);
      if (site !== undefined) program.setOptionValue('site', site);
      const list = async (read: () => Promise<readonly string[]>): Promise<readonly string[]> =>
        read().catch(() => []);
      const found = await complete(program, words, {
        osimages: () =>
          list(async () =>
            (await (await context.openStore('read')).store.osimages.list()).map(({ name }) => name),
          ),
        nodes: () =>
          list(async () =>
            (await (await context.openStore('read')).store.nodes.list()).map(({ name }) => name),
          ),
      });
      context.stdout.write(found.map((word) => `${word.slice(typedBefore)}\n`).join(''));
    });
}
