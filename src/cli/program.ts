import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { codeOf, messageOf, RackbootError } from '../errors.js';
import { packageRoot } from '../site/assets.js';
import { registerCalled, type CommandFile } from './command-files.js';
import { createContext } from './context.js';
import { usageLine } from './usage-line.js';

const COMMANDS: readonly CommandFile[] = [
  { names: ['init'], load: async () => (await import('./init.js')).registerInit },
  { names: ['doctor'], load: async () => (await import('./doctor.js')).registerDoctor },
  { names: ['demo'], load: async () => (await import('./demo.js')).registerDemo },
  { names: ['image'], load: async () => (await import('./image.js')).registerImage },
  { names: ['iso'], load: async () => (await import('./iso.js')).registerIso },
  { names: ['repo'], load: async () => (await import('./repo.js')).registerRepo },
  { names: ['node'], load: async () => (await import('./node.js')).registerNode },
  { names: ['nodels'], load: async () => (await import('./nodels.js')).registerNodels },
  { names: ['group'], load: async () => (await import('./group.js')).registerGroup },
  { names: ['nodeset'], load: async () => (await import('./nodeset.js')).registerNodeset },
  { names: ['power'], load: async () => (await import('./power.js')).registerPower },
  { names: ['media'], load: async () => (await import('./media.js')).registerMedia },
  { names: ['status'], load: async () => (await import('./status.js')).registerStatus },
  { names: ['store', 'gc'], load: async () => (await import('./store.js')).registerStore },
  { names: ['serve'], load: async () => (await import('./serve.js')).registerServe },
  { names: ['nginx-config'], load: async () => (await import('./nginx-config.js')).registerNginxConfig },
  { names: ['completion'], load: async () => (await import('./completion.js')).registerCompletion },
];

/** The streams of a process that runs a command. */
export interface Streams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** The version in package.json. */
export function version(): string {
  const text = readFileSync(path.join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The columns help is wrapped at where the output says none. */
const COLUMNS = 80;

/**
 * The program over the streams it prints to, with the command that `words` call, or every command when they call none
 * that is known; and the function that closes what a command opened.
 */
export async function createProgram(
  streams: Streams,
  words: readonly string[] = [],
): Promise<{ program: Command; close: () => Promise<void> }> {
  const program = new Command('rackboot')
    .description('Provisions racks of machines from network-booted installers.')
    .addOption(
      new Option('--site <dir>', 'the site to work on').default(
        process.env['RACKBOOT_SITE'] ?? '.',
        '$RACKBOOT_SITE, else the current directory',
      ),
    )
    .option('--json', 'print results as JSON')
    .version(version(), '--version', 'print the version')
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ minWidthToWrap: 24 })
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
      getOutHelpWidth: () => columnsOf(streams.stdout),
      getErrHelpWidth: () => columnsOf(streams.stderr),
    })
    .addHelpText('after', '\nStart with: rackboot --site DIR init');
  const { context, close } = createContext(program, streams);
  await registerCalled(COMMANDS, program, context, wordsAfterOptions(program, words));
  for (const command of everyCommand(program)) {
    command.exitOverride().configureOutput({ outputError: (text, write) => write(usageLine(text, command)) });
  }
  return { program, close };
}

/**
 * Runs one command line (the words after the program's name) and gives back the exit status: 0, 1 for a failed
 * operation, 2 for wrong usage. Errors are one line on standard error.
 */
export async function run(words: readonly string[], streams: Streams): Promise<number> {
  const { program, close } = await createProgram(streams, words);
  try {
    await program.parseAsync(words, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (isBrokenPipe(error)) return 0;
    streams.stderr.write(`rackboot: ${messageOf(error)}\n`);
    if (process.env['RACKBOOT_DEBUG'] !== undefined && error instanceof Error)
      streams.stderr.write(`${error.stack ?? ''}\n`);
    return isWrongUsage(error) ? 2 : 1;
  } finally {
    await close();
  }
}

/** By error class, the codes that say that the words of the command line cannot be obeyed, whatever the site holds. */
const USAGE_CODES: Readonly<Record<string, readonly string[]>> = {
  UsageError: ['USAGE'],
  NodeError: [
    'BAD_NODERANGE',
    'BAD_TARGET',
    'BAD_NAME',
    'BAD_MAC',
    'BAD_ADDRESS',
    'BAD_UUID',
    'BAD_SERIAL',
    'BAD_GROUP',
    'BAD_ATTRIBUTE',
  ],
  ImageError: ['BAD_VOLUME_ID', 'BAD_SOURCE_URL'],
  PowerError: ['BAD_VERB'],
};

function isWrongUsage(error: unknown): boolean {
  return error instanceof RackbootError && USAGE_CODES[error.name]?.includes(codeOf(error) ?? '') === true;
}

/** `words` from the first that is neither an option of `command` nor an option's value. */
function wordsAfterOptions(command: Command, words: readonly string[]): readonly string[] {
  let at = 0;
  for (; words[at]?.startsWith('-') === true; at++) {
    const option = command.options.find(({ long, short }) => long === words[at] || short === words[at]);
    if (option?.required === true) at++;
  }
  return words.slice(at);
}

function columnsOf(stream: NodeJS.WritableStream): number {
  return 'columns' in stream && typeof stream.columns === 'number' ? stream.columns : COLUMNS;
}

/** A command and all below it, parents first. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

/** Whether the reader of our output went away (`rackboot image files d12 | head`): no failure. */
function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}
