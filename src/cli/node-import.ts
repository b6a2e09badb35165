import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { codeOf, messageOf } from '../errors.js';
import { NodeError } from '../node/errors.js';
import { applyImport, planImport, summarizeImport, type ImportFile } from '../node/import.js';
import { requireKnownLoaders } from '../node/loader-check.js';
import { NODE_TABLES } from '../node/xcat/attributes.js';
import type { Context } from './context.js';

/** `node import`: nodes out of files. */
export function registerNodeImport(node: Command, context: Context): void {
  node
    .command('import')
    .description(
      'define nodes and groups out of files; nodes that exist are changed in what the files say of them',
    )
    .argument('<file...>', 'files, - for standard input, or a directory that dumpxCATdb wrote')
    .option('--dry-run', 'show what would change and change nothing')
    .addHelpText(
      'after',
      `
Each file is one of:
  a stanza file     lsdef -t node -l -z > nodes.stanza; also of -t group
  a table dump      tabdump noderes > noderes.csv; dumps that belong together in one command, nodelist among them
  CSV               a header of attributes that begins with node: node,mac,ip,groups,arch
Rows for groups and xCAT's expressions (|\\D+(\\d+)|10.1.0.($1+0)|) are worked out for each node.

Examples:
  rackboot node import nodes.stanza --dry-run
  rackboot node import nodelist.csv mac.csv hosts.csv noderes.csv nodehm.csv
  rackboot node import /root/xcatdb
`,
    )
    .action(async (names: readonly string[], options: { dryRun?: boolean }) => {
      const files: ImportFile[] = [];
      for (const name of names) files.push(...(await readFiles(name)));
      const { site, store } = await context.openStore();
      const { nodes: state } = store;
      const plan = planImport(files, { nodes: await state.list(), groups: await state.groups() });
      requireKnownLoaders(plan.nodes, site.config.dhcp.loaders ?? {});
      for (const line of plan.notes) context.note(line);
      if (options.dryRun !== true) await applyImport(state, plan);
      const { added, changed, unchanged, groups } = plan;
      context.print({ dryRun: options.dryRun === true, added, changed, unchanged, groups }, () =>
        [
          ...(options.dryRun === true ? ['dry run: nothing is changed'] : []),
          ...summarizeImport(plan),
          ...(added.length + changed.length + unchanged.length + groups.length === 0
            ? ['no node in there']
            : []),
        ].join('\n'),
      );
    });
}

async function readFiles(name: string): Promise<ImportFile[]> {
  if (name === '-') return [{ name: 'standard input', text: await text(process.stdin) }];
  try {
    if (!(await stat(name)).isDirectory()) return [{ name, text: await readFile(name, 'utf8') }];
    const tables = [...NODE_TABLES, 'nodegroup'].map((table) => `${table}.csv`);
    const present = (await readdir(name)).filter((entry) => tables.includes(entry)).sort();
    return await Promise.all(
      present.map(async (entry) => {
        const file = path.join(name, entry);
        return { name: file, text: await readFile(file, 'utf8') };
      }),
    );
  } catch (error) {
    throw new NodeError(
      'BAD_IMPORT',
      `${name}: cannot be read (${codeOf(error) ?? messageOf(error)}); give a file that lsdef -z, tabdump or a spreadsheet wrote`,
      { cause: error },
    );
  }
}
