import path from 'node:path';
import type { Command } from 'commander';
import { buildRepository } from '../../repo/build.js';
import { filesBelow } from '../../repo/files.js';
import type { Context } from '../context.js';
import { sourceDateEpoch } from '../image/epoch.js';
import { stopwatch } from '../image/result.js';
import { collect } from '../repeated.js';
import { formatDuration } from '../table.js';

export function registerRepoBuild(repo: Command, context: Context): void {
  repo
    .command('build')
    .summary('make the metadata of a directory of packages')
    .description(
      'Makes repodata/ for the packages below a directory, as installers accept it (gzip, SHA-256). Packages that did not change are not read again; groups and update notices stay. A package that needs what nothing provides stops it before anything is published. The signature of the old metadata goes: sign again, or at once with --sign.',
    )
    .argument('<dir>', 'the repository')
    .option('--comps <file>', 'a comps.xml: groups in place of those there are')
    .option(
      '--with <repository>',
      'a directory or URL where dependencies may lie too; may be repeated',
      collect,
    )
    .option(
      '--target <package>',
      'a package that is installed by name, so that nothing need require it; may be repeated',
      collect,
    )
    .option(
      '--revision <text>',
      'the revision that repomd.xml states; without it $SOURCE_DATE_EPOCH, else the time now',
    )
    .option('--full', 'read every package again')
    .option('--no-check', 'do not look for dependencies that nothing provides')
    .option('--sign', 'sign the new metadata, as rackboot.yaml says under signing')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot repo build /srv/xcp-ng\n  rackboot repo build /srv/updates --with /srv/xcp-ng --target my-driver\n  rackboot repo build /srv/xcp-ng --sign',
    )
    .action(
      async (
        dir: string,
        options: {
          comps?: string;
          with?: readonly string[];
          target?: readonly string[];
          revision?: string;
          full?: true;
          check: boolean;
          sign?: true;
        },
      ) => {
        const elapsed = stopwatch();
        const { epoch } = sourceDateEpoch();
        // Who signs is asked first: without anybody nothing is published.
        const signer =
          options.sign === true ? await (await import('./sign.js')).signerFor(context, {}) : undefined;
        const revision = options.revision ?? (epoch === undefined ? undefined : String(epoch));
        const odd: string[] = [];
        const note = (line: string): void => {
          odd.push(line);
          context.note(line);
        };
        const report = await buildRepository({
          dir,
          full: options.full === true,
          ...(revision === undefined ? {} : { revision }),
          ...(options.comps === undefined ? {} : { comps: options.comps }),
          ...(options.check
            ? {
                check: async (built) => {
                  const names = new Set(built.packages.map(({ name }) => name));
                  const targets = options.target ?? [];
                  for (const name of targets.filter((each) => !names.has(each)))
                    note(`--target ${name}: no package here has that name`);
                  const { checkBuilt } = await import('../../repo/check-build.js');
                  await checkBuilt(built, filesBelow(dir), {
                    others: options.with ?? [],
                    targets,
                    note,
                    mend: 'name a repository that has them with --with',
                  });
                },
              }
            : {}),
        });
        report.notes.forEach(note);
        const signed =
          signer === undefined
            ? undefined
            : await (
                await import('../../repo/signing/sign-tree.js')
              ).signTree(path.resolve(dir), signer, epoch === undefined ? {} : { time: epoch });
        if (report.wasSigned && signed === undefined)
          note(`the old signature is gone with the old metadata; sign again: rackboot repo sign ${dir}`);
        const ms = elapsed();
        const { packages, read, gone } = report;
        context.print(
          {
            dir,
            packages: packages.length,
            read,
            gone,
            wasSigned: report.wasSigned,
            signed: signed?.fingerprint ?? null,
            notes: odd,
            ms,
          },
          () =>
            [
              `${dir}: ${packages.length} packages, ${read.length} of them read, ${gone.length} gone (${formatDuration(ms)})`,
              ...(signed === undefined ? [] : [`${dir}: signed by ${signed.fingerprint} (${signed.digest})`]),
            ].join('\n'),
        );
      },
    );
}
