import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { codeOf, messageOf, RackbootError } from '../errors.js';
import { packageRoot } from '../site/assets.js';
import { registerCompletion } from './completion.js';
import { type Context, createContext } from './context.js';
import { registerDemo } from './demo.js';
import { registerDoctor } from './doctor.js';
import { registerImage } from './image.js';
import { registerInit } from './init.js';
import { registerIso } from './iso.js';
import { registerNginxConfig } from './nginx-config.js';
import { registerNode } from './node.js';
import { registerNodeset } from './nodeset.js';
import { registerServe } from './serve.js';
import { registerStatus } from './status.js';
import { registerStore } from './store.js';
import { usageLine } from './usage-line.js';

const COMMANDS: readonly ((program: Command, context: Context) => void)[] = [
  registerInit,
  registerDoctor,
  registerDemo,
  registerImage,
  registerIso,
  registerNode,
  registerNodeset,
  registerStatus,
  registerStore,
  registerServe,
  registerNginxConfig,
  registerCompletion,
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

/** Every command, over the streams it prints to, and the function that closes what a command opened. */
export function createProgram(streams: Streams): { program: Command; close: () => Promise<void> } {
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
  for (const register of COMMANDS) register(program, context);
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
  const { program, close } = createProgram(streams);
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
  ImageError: ['BAD_VOLUME_ID'],
};

function isWrongUsage(error: unknown): boolean {
  return error instanceof RackbootError && USAGE_CODES[error.name]?.includes(codeOf(error) ?? '') === true;
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
