import type { Command } from 'commander';
import { bootFromDisk } from '../../node/nodeset.js';
import { findGeneration, findOsimage, parentGeneration, pickGeneration } from '../../osimage/find.js';
import { shortId } from '../../osimage/manifest.js';
import type { Reassign } from '../../store/records.js';
import type { Context } from '../context.js';
import { briefJson } from './list.js';

const bootAll: Reassign = (users) => bootFromDisk(users, Date.now());

export function registerHistory(image: Command, context: Context): void {
  image
    .command('rollback')
    .summary('make an earlier generation current')
    .description(
      'Makes another generation current: by default the one the current one was made from. Nothing is built; nodes boot it from their next boot on.',
    )
    .argument('<osimage>', 'the osimage')
    .argument('[generation]', 'a generation, by number or id')
    .addHelpText('after', '\nExamples:\n  rackboot image rollback d12\n  rackboot image rollback d12 1')
    .action(async (name: string, wanted: string | undefined) => {
      const { store } = await context.openStore();
      const now = await findGeneration(store, name);
      const history = await store.osimages.history(name);
      const record =
        wanted === undefined
          ? parentGeneration(now, history, `rackboot image rollback ${name} <generation>`)
          : pickGeneration(name, history, wanted);
      await store.osimages.setCurrent(name, record.id);
      context.print(
        { ...briefJson(record), previous: now.id },
        () =>
          `${name}: generation ${record.number} (${shortId(record.id)}) is current; it was ${now.number} (${shortId(now.id)})`,
      );
    });

  image
    .command('rm')
    .summary('remove an osimage or one generation')
    .description(
      'Removes an osimage with its history, or one generation that is not current. Its bytes go with the next gc, once no node boots it any more.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .option('--force', 'even when nodes are set to it; they boot from disk then')
    .addHelpText('after', '\nExamples:\n  rackboot image rm d12@1\n  rackboot image rm d12 && rackboot gc')
    .action(async (reference: string, options: { force?: boolean }) => {
      const { store } = await context.openStore();
      const [name = ''] = reference.split('@', 1);
      const reassign = options.force === true ? bootAll : undefined;
      const users = reference.includes('@')
        ? await store.osimages.removeGeneration(name, (await findGeneration(store, reference)).id, reassign)
        : await store.osimages.remove((await findOsimage(store, name)).name, reassign);
      context.print(
        { removed: reference, nodes: users.map((user) => user.node) },
        () => `removed ${reference}; free its space with: rackboot gc`,
      );
    });
}
