import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test from 'ava';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.js';
import { commandReference, pathOf, visibleCommands } from '../../src/cli/reference.js';
import { packageRoot } from '../../src/site/assets.js';

const ROOT = packageRoot();
const { program } = await createProgram({ stdout: new PassThrough(), stderr: new PassThrough() });

/** README.md and every guide and decision, without the generated reference. */
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && name !== 'commands.md')
    .map((name) => join('docs', name))
    .sort(),
];

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** The lines of a page's `sh` blocks that run rackboot, continued lines joined. */
function shownCommands(page: string): string[] {
  return [...read(page).matchAll(/^ *```sh\n(.*?)^ *```$/gms)]
    .flatMap(([, block = '']) => block.replaceAll('\\\n', ' ').split('\n'))
    .filter((line) => /^\s*(?:\S*\/)?rackboot(?:\s|$)/.test(line))
    .map((line) => line.trim());
}

/** The words of a simple command, quotes taken off, up to what the shell would take for itself. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)) {
    if (/^(?:#.*|[|&;]+|\d?[<>].*)$/.test(word)) break;
    words.push(word.replaceAll(/['"]/g, ''));
  }
  return words;
}

/** What is wrong with a command line: an unknown command or option, or a number of arguments it does not take. */
function faultOf(words: readonly string[]): string | undefined {
  let command: Command = program;
  const operands: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (word === '--') {
      operands.push(...words.slice(at + 1));
      break;
    }
    if (word.startsWith('-') && word !== '-') {
      const [name = ''] = word.split(/[=:]/, 1); // --srcurl:LAYER, too
      const option = [command, program]
        .flatMap((each) => each.createHelp().visibleOptions(each))
        .find(({ long, short }) => long === name || short === name);
      if (option === undefined) return `${pathOf(command)} has no option ${name}`;
      if (option.required && !word.includes('=')) at++;
      continue;
    }
    const below = operands.length === 0 ? command.commands.find((each) => each.name() === word) : undefined;
    if (below !== undefined) command = below;
    else operands.push(word);
  }
  if (command.commands.length > 0 && command !== program)
    return `${pathOf(command)} has no command ${operands[0] ?? ''}`;
  if (command === program) return operands.length === 0 ? undefined : `no command ${operands[0] ?? ''}`;
  const wanted = command.registeredArguments;
  const least = wanted.filter((argument) => argument.required).length;
  const most = wanted.some((argument) => argument.variadic) ? Infinity : wanted.length;
  if (words.includes('--help') || (operands.length >= least && operands.length <= most)) return undefined;
  return `${pathOf(command)} takes ${least} to ${most} arguments, not ${operands.length}`;
}

test('a command line that does not exist is found out', (t) => {
  const fault = (line: string): string | undefined => faultOf(wordsOf(line).slice(1));
  t.is(fault('rackboot image put d12 ./hello:/etc/hello'), undefined);
  t.is(fault("rackboot --site /tmp/s nodels 'n[1-4],-n2' | wc -l  # three"), undefined);
  t.is(fault('rackboot image iso d12 -o d12.iso --volume-id=X'), undefined);
  t.is(fault('rackboot image polish d12'), 'rackboot image has no command polish');
  t.is(fault('rackboot polish'), 'no command polish');
  t.is(fault('rackboot image ls --colour'), 'rackboot image ls has no option --colour');
  t.is(fault('rackboot image cat d12'), 'rackboot image cat takes 2 to 2 arguments, not 1');
});

for (const page of pages) {
  test(`${page}: every command that is shown exists`, (t) => {
    t.deepEqual(
      shownCommands(page).flatMap((line) => {
        const fault = faultOf(wordsOf(line).slice(1));
        return fault === undefined ? [] : [`${line}: ${fault}`];
      }),
      [],
    );
  });

  test(`${page}: every link leads to a file`, (t) => {
    const targets = [...read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target);
    for (const target of targets.filter((each) => !/^[a-z]+:/.test(each))) {
      t.true(existsSync(join(ROOT, page, '..', target)), `${page} links to ${target}`);
    }
    t.pass();
  });
}

test('docs/commands.md is what the program says; write it with: npm run docs', async (t) => {
  t.is(read('docs/commands.md'), await commandReference());
});

test('the guides show every command at work', (t) => {
  const shown = new Set(pages.flatMap(shownCommands).map((line) => leafOf(wordsOf(line).slice(1))));
  const leaves = visibleCommands(program).filter((command) => command.commands.length === 0);
  t.deepEqual(
    leaves.map(pathOf).filter((command) => !shown.has(command)),
    [],
  );
});

/** The command that a command line runs. */
function leafOf(words: readonly string[]): string {
  let command: Command = program;
  for (const word of words) command = command.commands.find((each) => each.name() === word) ?? command;
  return pathOf(command);
}
