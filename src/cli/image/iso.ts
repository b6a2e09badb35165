import type { Command } from 'commander';
import { verifyImage, type VerifyResult } from '../../api/verify.js';
import { loadRunKey } from '../../node/run-token.js';
import { NodeError } from '../../node/errors.js';
import { OsimageError } from '../../osimage/errors.js';
import { findGeneration } from '../../osimage/find.js';
import { shortId } from '../../osimage/manifest.js';
import type { VerifiedArtifact } from '../../osimage/verify.js';
import { isoImage } from '../../pxe/boot/iso-image.js';
import { httpUrl } from '../../site/config.js';
import type { Context } from '../context.js';
import { Progress } from '../progress.js';
import { formatBytes, formatDuration, textTable } from '../table.js';
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
    .option('--volume-id <id>', 'volume id; by default the media’s, else the osimage’s name')
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

  image
    .command('verify')
    .summary('prove that store, ISO and network serve the same bytes')
    .description(
      'Reads every boot file, archive and tree file of a generation from the store, over HTTP and, with --iso, from an ISO, and compares their SHA-256. What else an ISO holds (boot sectors, loaders, menus, directories) is compared with the ISO made anew. HTTP is asked at http.url; where nothing answers there, a server is started on loopback for the time.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .option('--iso <file>', 'an ISO that is to hold the same bytes')
    .addHelpText('after', '\nExample:\n  rackboot image verify d12 --iso d12.iso')
    .action(async (reference: string, options: { iso?: string }) => {
      const { site, store } = await context.openStore();
      const record = await findGeneration(store, reference);
      const elapsed = stopwatch();
      const progress = new Progress(context.stderr, { quiet: true });
      const result = await verifyImage({ site, store, record, iso: options.iso }).finally(() =>
        progress.end(),
      );
      const wrong = result.artifacts.filter(isWrong);
      context.print(
        {
          osimage: record.osimage,
          generation: record.id,
          http: result.http,
          artifacts: result.artifacts,
          node: result.iso?.own?.node ?? null,
          ok: wrong.length === 0,
        },
        () => report(result, wrong, elapsed()),
      );
      if (wrong.length > 0) {
        throw new OsimageError(
          'BAD_SOURCE',
          `${wrong.length} of ${result.artifacts.length} parts differ (${wrong[0]?.path ?? ''}); run: rackboot store verify, and make the ISO again`,
        );
      }
    });
}

const isWrong = (artifact: VerifiedArtifact): boolean =>
  Object.values(artifact.found).some((finding) => finding.state === 'different');

function report(result: VerifyResult, wrong: readonly VerifiedArtifact[], ms: number): string {
  const { artifacts, http, iso } = result;
  const shown = [
    ...artifacts.filter((artifact) => artifact.kind === 'files'),
    ...wrong.filter((artifact) => artifact.kind !== 'files'),
  ];
  const sources = Object.keys(artifacts[0]?.found ?? {});
  const table = textTable(
    ['FILE', 'SIZE', 'SHA-256', ...sources.map((name) => name.toUpperCase())],
    shown.map(({ path: file, size, sha256, found }) => [
      file,
      formatBytes(size),
      `${sha256.slice(0, 12)}…`,
      ...sources.map((name) => {
        const finding = found[name];
        return finding?.state === 'different' ? `DIFFERENT: ${finding.detail}` : (finding?.state ?? '');
      }),
    ]),
  );
  const count = (kind: VerifiedArtifact['kind']): string => {
    const all = artifacts.filter((artifact) => artifact.kind === kind);
    return `${all.filter((artifact) => !isWrong(artifact)).length} of ${all.length}`;
  };
  const served = artifacts.filter((artifact) => artifact.kind !== 'iso');
  const bytes = served.reduce((sum, artifact) => sum + artifact.size, 0);
  const leftOut = served.filter(({ found }) => found['iso']?.state === 'left-out').length;
  return [
    table,
    `install tree: ${count('tree')} files agree${leftOut === 0 ? '' : `; the ISO leaves out ${leftOut} of them (--netinstall)`}`,
    ...(iso === undefined
      ? []
      : [
          `ISO: ${count('iso')} parts that are no such files agree with the ISO made anew`,
          ...(iso.own === undefined
            ? []
            : [
                `the ISO is ${iso.own.node}’s: its menus hold tokens and are covered only by the disk GUID in the system area`,
              ]),
        ]),
    `${served.filter((artifact) => !isWrong(artifact)).length} of ${served.length} files (${formatBytes(bytes)}) agree between ${sources.join(', ')} in ${formatDuration(ms)}; HTTP from ${http}`,
  ].join('\n');
}
