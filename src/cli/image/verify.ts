import type { Command } from 'commander';
import { verifyImage, type VerifyResult } from '../../api/verify.js';
import { OsimageError } from '../../osimage/errors.js';
import { findGeneration } from '../../osimage/find.js';
import type { VerifiedRepository } from '../../osimage/tree/verify-repositories.js';
import type { VerifiedArtifact } from '../../osimage/verify.js';
import type { Context } from '../context.js';
import { Progress } from '../progress.js';
import { formatBytes, formatDuration, textTable } from '../table.js';
import { stopwatch } from './result.js';

export function registerImageVerify(image: Command, context: Context): void {
  image
    .command('verify')
    .summary('prove that store, ISO and network serve the same bytes')
    .description(
      'Reads every boot file, archive and tree file of a generation from the store, over HTTP and, with --iso, from an ISO, and compares their SHA-256. What else an ISO holds (boot sectors, loaders, menus, directories) is compared with the ISO made anew. HTTP is asked at http.url; where no server of this site answers there, one is started on loopback for the time. Repositories of RPM packages in the install tree are checked as their installer would, as repo verify does.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .option('--iso <file>', 'an ISO that is to hold the same bytes')
    .option('--bytes-only', 'compare bytes alone, without what an installer would check of the install tree')
    .addHelpText('after', '\nExample:\n  rackboot image verify d12 --iso d12.iso')
    .action(async (reference: string, options: { iso?: string; bytesOnly?: boolean }) => {
      const { site, store } = await context.openStore();
      const record = await findGeneration(store, reference);
      const elapsed = stopwatch();
      const progress = new Progress(context.stderr, { quiet: context.json });
      const request = { site, store, record, iso: options.iso, bytesOnly: options.bytesOnly === true };
      const result = await verifyImage({
        ...request,
        onProgress: (what, done, total) => progress.update(what, done, total),
      }).finally(() => progress.end());
      const wrong = result.artifacts.filter(isWrong);
      const findings = result.repositories.flatMap((repository) => repository.findings);
      context.print(
        {
          osimage: record.osimage,
          generation: record.id,
          http: result.http,
          artifacts: result.artifacts,
          repositories: result.repositories,
          node: result.iso?.own?.node ?? null,
          ok: wrong.length === 0 && findings.length === 0,
        },
        () => report(result, wrong, elapsed()),
      );
      if (wrong.length > 0) {
        throw new OsimageError(
          'BAD_SOURCE',
          `${wrong.length} of ${result.artifacts.length} parts differ (${wrong[0]?.path ?? ''}); run: rackboot store verify, and make the ISO again`,
        );
      }
      if (findings.length > 0) {
        throw new OsimageError(
          'BAD_SOURCE',
          `an installer would stop at the install tree: ${findings[0] ?? ''}${findings.length === 1 ? '' : ` (${findings.length} findings, as listed)`}`,
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
    ...result.repositories.flatMap(describe),
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

/** What the installer would say of a repository. */
function describe({ path, packages, signature, findings, notes }: VerifiedRepository): string[] {
  const who = signature === undefined ? '' : `, signed by ${signature.fingerprint} (${signature.digest})`;
  return [
    `repository ${path === '' ? 'at the top of the tree' : path}: ${packages} packages${who}`,
    ...notes.map((line) => `  note: ${line}`),
    ...findings.map((line) => `  WRONG: ${line}`),
  ];
}
