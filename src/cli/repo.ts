import type { Command } from 'commander';
import { registerCalled, type CommandFile } from './command-files.js';
import type { Context } from './context.js';

const COMMANDS: readonly CommandFile[] = [
  { names: ['mirror'], load: async () => (await import('./repo/mirror.js')).registerRepoMirror },
  { names: ['build'], load: async () => (await import('./repo/build.js')).registerRepoBuild },
  { names: ['sign'], load: async () => (await import('./repo/sign.js')).registerRepoSign },
  { names: ['verify'], load: async () => (await import('./repo/verify.js')).registerRepoVerify },
];

/** `rackboot repo …`: package repositories and install trees. */
export async function registerRepo(
  program: Command,
  context: Context,
  words: readonly string[],
): Promise<void> {
  const repo = program.command('repo').description('mirror, build, sign and verify package repositories');
  await registerCalled(COMMANDS, repo, context, words);
}
