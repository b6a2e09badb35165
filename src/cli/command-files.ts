import type { Command } from 'commander';
import type { Context } from './context.js';

/** Adds commands to `parent`. `words` are those of the command line after the parent's, none when all are wanted. */
export type Register = (parent: Command, context: Context, words: readonly string[]) => void | Promise<void>;

/** A file of commands, loaded when one of them is called: what the others import costs nothing then. */
export interface CommandFile {
  readonly names: readonly string[]; // of all commands that it registers
  readonly load: () => Promise<Register>;
}

/** Registers on `parent` the file with the command that `words` begin with; when there is none, all of `files`. */
export async function registerCalled(
  files: readonly CommandFile[],
  parent: Command,
  context: Context,
  words: readonly string[],
): Promise<void> {
  const [name = '', ...rest] = words;
  const called = files.find(({ names }) => names.includes(name));
  if (called !== undefined) {
    await (
      await called.load()
    )(parent, context, rest);
    return;
  }
  const all = await Promise.all(files.map(({ load }) => load()));
  for (const register of all) await register(parent, context, []);
}
