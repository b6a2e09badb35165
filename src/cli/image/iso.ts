import type { Command } from 'commander';
import { loadRunKey } from '../../node/run-token.js';
import { NodeError } from '../../node/errors.js';
import { findGeneration } from '../../osimage/find.js';
import { shortId } from '../../osimage/manifest.js';
import { isoImage } from '../../pxe/boot/iso-image.js';
import { httpUrl } from '../../site/config.js';
import type { Context } from '../context.js';
import { Progress } from '../progress.js';
import { formatBytes, formatDuration } from '../table.js';
import { checkOutput, writeWhole } from './output-file.js';
import { stopwatch } from './result.js';

interface IsoCommandOptions {
  output: string;
  node?: string;
  netinstall?: boolean;
  volumeId?: string;
  answerfile?: boolean;
}

export function registerImageIso(image: Command, context: Context): void {
  image
    .command('iso')
    .summary('write the ISO of a generation')
    .description(
      'Writes an ISO with the same bytes the network serves, bootable on BIOS and UEFI, from CD and from USB. With --node it is that node’s own: it reports for it and fetches its answer file.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .requiredOption('-o, --output <file>', 'the file to write')
    .option('--node <name>', 'make it for this node, which must be set to the osimage')
    .option('--netinstall', 'leave the install tree out')
    .option('-V, --volume-id <id>', 'volume id; by default the media’s, else the osimage’s name')
    .option(
      '--answerfile',
      'put the node’s answer file on it, passwords and all, so that no server has to give it',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot image iso d12 -o d12.iso\n  rackboot image iso d12 -o n1.iso --node n1\n  rackboot image iso xcp83 -o n1.iso --node n1 --answerfile',
    )
    .action(async (reference: string, options: IsoCommandOptions) => {
      const { site, store } = await context.openStore();
      await checkOutput(options.output, site);
      const record = await findGeneration(store, reference);
      const node = options.node === undefined ? undefined : await store.nodes.get(options.node);
      if (options.node !== undefined && node === undefined) {
        throw new NodeError(
          'NO_SUCH_NODE',
          `no node ${options.node}; add it with: rackboot node add ${options.node} --mac MAC`,
        );
      }
      const elapsed = stopwatch();
      const { laidOut, size } = await store.read('image iso', [record], async () => {
        const map = await isoImage(
          {
            store,
            config: site.config,
            runKey: await loadRunKey(site.dir),
            serverUrl: httpUrl(site.config),
            now: Date.now,
          },
          record,
          {
            netinstall: options.netinstall === true,
            ...(node === undefined ? {} : { node }),
            ...(options.volumeId === undefined ? {} : { volumeId: options.volumeId }),
            ...(options.answerfile === true ? { answerOnIso: true } : {}),
          },
        );
        const laidOut = elapsed();
        const progress = new Progress(context.stderr, { quiet: context.json });
        await writeWhole(
          options.output,
          map,
          store.blobs,
          (done) => progress.update(options.output, done, map.size),
          options.answerfile === true ? 0o600 : 0o666,
        ).finally(() => progress.end());
        return { laidOut, size: map.size };
      });
      const ms = elapsed();
      if (options.answerfile === true)
        context.note(
          `${options.output} holds the answer file of ${options.node ?? ''}; only its owner may read it`,
        );
      context.print(
        {
          osimage: record.osimage,
          generation: record.id,
          file: options.output,
          size,
          layoutMs: Math.round(laidOut),
          ms: Math.round(ms),
        },
        () =>
          `${options.output}: ${formatBytes(size)} of ${record.osimage} generation ${record.number} (${shortId(record.id)}) in ${formatDuration(ms)}`,
      );
    });
}
