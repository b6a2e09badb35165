import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { createProgram, everyCommand } from './program.js';

const HEAD = `# Commands

What \`rackboot help\` says, command by command. This page is written by \`npm run docs\` from the program itself.

Every command takes \`--site\` and \`--json\`: \`rackboot --site /srv/rackboot image ls --json\`.
A failed operation exits 1 and wrong usage exits 2, each with one line on standard error ([errors](errors.md)).
`;

/** docs/commands.md: the help of every command, in the order the program lists them. */
export async function commandReference(): Promise<string> {
  const { program } = await createProgram({ stdout: new PassThrough(), stderr: new PassThrough() });
  const sections = visibleCommands(program).map(
    (command) => `## ${pathOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`,
  );
  return [HEAD, ...sections].join('\n');
}

/** The commands people are told of: every one but `help` and those that are hidden. */
export function visibleCommands(program: Command): Command[] {
  return everyCommand(program).filter((command) => {
    for (let at = command; at.parent !== null; at = at.parent) {
      if (!at.parent.createHelp().visibleCommands(at.parent).includes(at)) return false;
    }
    return true;
  });
}

/** A command's words from the program's name on: `rackboot image put`. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
  command.outputHelp();
  return text.trimEnd();
}
