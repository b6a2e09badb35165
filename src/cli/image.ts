import type { Command } from 'commander';
import type { Context } from './context.js';
import { registerBuild } from './image/build.js';
import { registerChanges } from './image/change.js';
import { registerDiff } from './image/diff.js';
import { registerEdit } from './image/edit.js';
import { registerHistory } from './image/history.js';
import { registerImageIso } from './image/iso.js';
import { registerImport } from './image/import.js';
import { registerLists } from './image/list.js';
import { registerLooks } from './image/look.js';
import { registerUnpack } from './image/unpack.js';

/** `rackboot image …`: osimages and their generations. */
export function registerImage(program: Command, context: Context): void {
  const image = program.command('image').description('import osimages, change them, compare, go back');
  registerImport(image, context);
  registerBuild(image, context);
  registerChanges(image, context);
  registerUnpack(image, context);
  registerEdit(image, context);
  registerLists(image, context);
  registerLooks(image, context);
  registerDiff(image, context);
  registerHistory(image, context);
  registerImageIso(image, context);
}
