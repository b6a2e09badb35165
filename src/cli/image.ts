import type { Command } from 'commander';
import { registerCalled, type CommandFile } from './command-files.js';
import type { Context } from './context.js';

const COMMANDS: readonly CommandFile[] = [
  { names: ['import'], load: async () => (await import('./image/import.js')).registerImport },
  { names: ['create'], load: async () => (await import('./image/create.js')).registerCreate },
  { names: ['export'], load: async () => (await import('./image/export.js')).registerExport },
  { names: ['build'], load: async () => (await import('./image/build.js')).registerBuild },
  {
    names: ['put', 'delete', 'chmod'],
    load: async () => (await import('./image/change.js')).registerChanges,
  },
  { names: ['unpack'], load: async () => (await import('./image/unpack.js')).registerUnpack },
  { names: ['pack'], load: async () => (await import('./image/packimage.js')).registerPack },
  { names: ['edit'], load: async () => (await import('./image/edit.js')).registerEdit },
  {
    names: ['ls', 'show', 'history'],
    load: async () => (await import('./image/list.js')).registerLists,
  },
  { names: ['set'], load: async () => (await import('./image/set.js')).registerImageSet },
  { names: ['files', 'cat', 'parts'], load: async () => (await import('./image/look.js')).registerLooks },
  { names: ['diff'], load: async () => (await import('./image/diff.js')).registerDiff },
  { names: ['rollback', 'rm'], load: async () => (await import('./image/history.js')).registerHistory },
  { names: ['iso'], load: async () => (await import('./image/iso.js')).registerImageIso },
  { names: ['verify'], load: async () => (await import('./image/verify.js')).registerImageVerify },
];

/** `rackboot image …`: osimages and their generations. */
export async function registerImage(
  program: Command,
  context: Context,
  words: readonly string[],
): Promise<void> {
  const image = program.command('image').description('import osimages, change them, compare, go back');
  await registerCalled(COMMANDS, image, context, words);
}
