import { readdir, readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { RepoError } from '../../repo/errors.js';
import { noAccess } from '../../repo/files.js';
import { leftOutOf } from '../../repo/mirror/state.js';
import { openTree } from '../../repo/open-tree.js';
import { verifyTree, type VerifyReport } from '../../repo/verify.js';
import type { Context } from '../context.js';
import { Progress } from '../progress.js';
import { formatBytes } from '../table.js';

export function registerRepoVerify(repo: Command, context: Context): void {
  repo
    .command('verify')
    .summary('check a repository as its installer would')
    .description(
      'Checks .treeinfo, the signature of repomd.xml by the key that installers take, every metadata file, and size, digest and signature of every package. Exits 1 for anything that an installer would stop at, after its disk was wiped.',
    )
    .argument('<tree>', 'a directory, or a file://, http:// or https:// URL')
    .option('--key <file>', 'check with these armored public keys in place of those that the tree lists')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot repo verify /srv/xcp-ng\n  rackboot repo verify http://10.77.0.1:8080/images/xcp@1f0c/tree',
    )
    .action(async (address: string, options: { key?: string }) => {
      const keys = options.key === undefined ? undefined : await readKeyFile(options.key);
      const progress = new Progress(context.stderr, { quiet: context.json });
      const tree = openTree(address);
      const local = tree.files.localPath?.('.');
      if (local !== undefined) await requireDirectory(local);
      const isLeftOut = local === undefined ? undefined : await leftOutOf(local);
      let report: VerifyReport;
      try {
        report = await verifyTree({
          files: tree.files,
          ...(keys === undefined ? {} : { keys }),
          ...(isLeftOut === undefined ? {} : { isLeftOut }),
          onProgress: (what, done, total) => progress.update(what, done, total),
        });
      } finally {
        tree.close();
        progress.end();
      }
      context.print(report, () => describe(address, report));
      const { length } = report.findings;
      if (length > 0)
        throw new RepoError('UNSOUND', `${address}: ${length} finding${length === 1 ? '' : 's'}, as listed`);
    });
}

async function requireDirectory(dir: string): Promise<void> {
  await readdir(dir).catch((error: unknown) => {
    throw noAccess(dir, error);
  });
}

async function readKeyFile(file: string): Promise<string> {
  return readFile(file, 'latin1').catch((error: unknown) => {
    throw noAccess(file, error);
  });
}

function describe(address: string, report: VerifyReport): string {
  const { product, signature, keys, findings, notes } = report;
  return [
    ...(product === undefined ? [] : [`product    ${product.name} ${product.version}`]),
    `packages   ${report.packages} (${formatBytes(report.bytes)})${report.leftOut === 0 ? '' : `, ${report.leftOut} of them left out by the mirror`}`,
    ...(signature === undefined ? [] : [`signed by  ${signature.fingerprint} (${signature.digest})`]),
    ...keys.map(({ fingerprint, owner }) => `key        ${fingerprint} ${owner}`),
    ...notes.map((line) => `note       ${line}`),
    ...findings.map((line) => `wrong      ${line}`),
    ...(findings.length === 0 ? [`${address}: an installer takes it`] : []),
  ].join('\n');
}
