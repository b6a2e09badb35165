import { access } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { NodeError } from '../../node/errors.js';
import { bundleOf } from '../../osimage/export/export.js';
import { findGeneration } from '../../osimage/find.js';
import { shortId } from '../../osimage/manifest.js';
import { remoteFile, taken, writeRemote } from '../../osimage/remote.js';
import type { Store } from '../../store/records.js';
import type { Context } from '../context.js';
import { Progress } from '../progress.js';
import { collect } from '../repeated.js';
import { formatBytes, formatDuration } from '../table.js';
import { sourceDateEpoch } from './epoch.js';
import { checkOutput, writeBytes } from './output-file.js';
import { addRemoteOptions, remoteOptions, type RemoteFlags } from './remote-options.js';
import { stopwatch } from './result.js';

interface ExportCommandOptions extends RemoteFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly extra?: readonly string[];
  readonly postscripts?: string;
}

/** `image export`: an osimage in one file. */
export function registerExport(image: Command, context: Context): void {
  const command = image
    .command('export')
    .summary('write an osimage into a bundle')
    .description(
      'Writes a generation into one file that image import reads: of a stateless image of xCAT’s the bundle that its imgimport takes, with manifest.xml; of any other a gzipped tar archive with manifest.json, files/, tree/ and disc/. The same generation gives the same bytes; SOURCE_DATE_EPOCH sets the time of its files.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .option(
      '-o, --output <file>',
      'the file to write, also USER@HOST:PATH or ssh://USER@HOST:PORT/PATH; by default <osimage>.tgz here',
    )
    .option('--force', 'replace the file if it is there')
    .option(
      '--extra <src[:destdir]>',
      'for xCAT: a file or directory of this machine to go along, and where imgimport puts it; may be repeated',
      collect,
    )
    .option('--postscripts <node>', 'for xCAT: the postscripts of this node go along');
  addRemoteOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  rackboot image export d12 -o d12.tgz
  rackboot image export compute@3 --postscripts n1 --extra ./notes.txt:/install/custom
  rackboot image export compute -o root@mn2:/root/compute.tgz`,
    )
    .action(async (reference: string, options: ExportCommandOptions) => {
      const { site, store } = await context.openStore();
      const record = await findGeneration(store, reference);
      const output = options.output ?? `${record.osimage}.tgz`;
      const remote = remoteFile(output);
      if (remote === undefined) {
        await checkOutput(output, site);
        if (options.force !== true) await requireAbsent(output);
      }
      const scripts =
        options.postscripts === undefined ? {} : { postscripts: await scriptsOf(store, options.postscripts) };
      const elapsed = stopwatch();
      const progress = new Progress(context.stderr, { quiet: context.json });
      let size = 0;
      const bundle = await store
        .read('image export', [record], async () => {
          const made = await bundleOf(store.blobs, record, {
            ...{ extras: options.extra ?? [], ...scripts, ...sourceDateEpoch() },
          });
          const bytes = counted(
            made.read((done, member) => progress.update(path.posix.basename(member), done, made.plainSize)),
            (length) => (size += length),
          );
          if (remote === undefined) await writeBytes(output, bytes, () => undefined, made.mode);
          else {
            const replace = options.force === true;
            await writeRemote(remote, bytes, { ...remoteOptions(options), replace, mode: made.mode & 0o644 });
          }
          return made;
        })
        .finally(() => progress.end());
      for (const line of bundle.notes) context.note(line);
      const ms = elapsed();
      context.print(
        { osimage: record.osimage, generation: record.id, file: output, size, ms: Math.round(ms) },
        () =>
          `${output}: ${formatBytes(size)}, a bundle of ${record.osimage} generation ${record.number} (${shortId(record.id)}), in ${formatDuration(ms)}`,
      );
    });
}

async function requireAbsent(file: string): Promise<void> {
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (there) throw taken(file);
}

/** What imgexport writes of a node's postscripts. */
async function scriptsOf(store: Store, name: string): Promise<ReadonlyMap<string, string>> {
  const node = await store.nodes.get(name);
  if (node === undefined) {
    throw new NodeError('NO_SUCH_NODE', `no node ${name}; rackboot node ls lists them`);
  }
  return new Map(
    ['postscripts', 'postbootscripts'].flatMap((key): [string, string][] => {
      const value = node.attributes[key] ?? '';
      return value === '' ? [] : [[key, value]];
    }),
  );
}

async function* counted(
  bytes: AsyncIterable<Buffer>,
  onBytes: (length: number) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    onBytes(chunk.length);
    yield chunk;
  }
}
