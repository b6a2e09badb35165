import type { Command } from 'commander';
import { NodeError } from '../node/errors.js';
import { foldNames } from '../node/fold.js';
import { defineGroup } from '../node/import.js';
import { directoryOf } from '../node/site-directory.js';
import type { Context } from './context.js';
import { textTable } from './table.js';
import { collect } from './repeated.js';

/** `group set|ls|rm`: groups that are defined by themselves, among them those whose members are found by selections. */
export function registerGroup(program: Command, context: Context): void {
  const group = program
    .command('group')
    .description('define groups of nodes by their attributes, list groups');

  group
    .command('set')
    .description(
      'define a group: dynamic with -w, else a list that nodes are put into with node set --add-group',
    )
    .argument('<group>', 'its name')
    .option(
      '-w, --where <selection>',
      'attribute==value, !=, =~ or !~; may be repeated, all must hold',
      collect,
    )
    .addHelpText(
      'after',
      `
Examples:
  rackboot group set arm -w arch==aarch64
  rackboot group set newrack -w 'rack=~^r1[0-9]$' -w mgt==ipmi
  rackboot group set spare
`,
    )
    .action(async (name: string, { where }: { where?: readonly string[] }) => {
      const record = defineGroup(name, where ?? null);
      const { store } = await context.openStore();
      await store.nodes.putAll([], [record]);
      const members = directoryOf(await store.nodes.list(), [record]).group(record.name) ?? [];
      context.print({ ...record, members }, () => `group ${record.name}: ${foldNames(members) || 'no node'}`);
    });

  group
    .command('ls')
    .description('list groups with their members')
    .addHelpText('after', '\nExamples:\n  rackboot group ls\n  rackboot --json group ls\n')
    .action(async () => {
      const { store } = await context.openStore('read');
      const [nodes, defined] = [await store.nodes.list(), await store.nodes.groups()];
      const directory = directoryOf(nodes, defined);
      const names = new Set([...defined.map(({ name }) => name), ...nodes.flatMap(({ groups }) => groups)]);
      const rows = [...names].sort().map((name) => ({
        name,
        where: defined.find((each) => each.name === name)?.where ?? null,
        members: directory.group(name) ?? [],
      }));
      context.print(rows, () =>
        rows.length === 0
          ? 'no group yet; put nodes into one with: rackboot node set NODERANGE --add-group GROUP'
          : textTable(
              ['GROUP', 'BY', 'MEMBERS'],
              rows.map(({ name, where, members }) => [
                name,
                where === null ? 'list' : where.join(' and '),
                foldNames(members) || '-',
              ]),
            ),
      );
    });

  group
    .command('rm')
    .description('remove a definition; nodes that name the group themselves stay in it')
    .argument('<group>', 'its name')
    .addHelpText('after', '\nExamples:\n  rackboot group rm newrack\n')
    .action(async (name: string) => {
      const { store } = await context.openStore();
      const defined = await store.nodes.groups();
      if (!defined.some((each) => each.name === name)) {
        throw new NodeError(
          'NO_SUCH_GROUP',
          `no group '${name}' is defined by itself; list them with: rackboot group ls`,
        );
      }
      await store.nodes.removeGroups([name]);
      context.print([name], () => `removed ${name}`);
    });
}
