import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { RepoError } from '../../repo/errors.js';
import { mirrorTree, type MirrorReport } from '../../repo/mirror/mirror.js';
import { localSource, webSource, type MirrorSource } from '../../repo/mirror/source.js';
import { openTree } from '../../repo/open-tree.js';
import { webClient } from '../../repo/web.js';
import type { SiteConfig } from '../../site/config.js';
import { type Context, UsageError } from '../context.js';
import { stopwatch } from '../image/result.js';
import { Progress } from '../progress.js';
import { collect } from '../repeated.js';
import { formatBytes, formatDuration } from '../table.js';
import { siteOrDefault } from './site-or-default.js';

function jobs(value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1 || count > 64)
    throw new InvalidArgumentError('it is a whole number from 1 to 64');
  return count;
}

interface MirrorOptions {
  readonly exclude?: readonly string[];
  readonly all?: true;
  readonly extraPackages?: string;
  readonly jobs?: number;
}

export function registerRepoMirror(repo: Command, context: Context): void {
  repo
    .command('mirror')
    .summary('copy package repositories, and bring the copy up to date')
    .description(
      'Copies the repositories of a tree: packages, metadata and signatures as they are, and the other files that the server lists or .treeinfo names. Everything that metadata lists is checked by it. What is there already is not fetched again, a file that broke off goes on where it ended; files that vanished from the source go. What rackboot.yaml excludes (mirror.exclude) is left out.',
    )
    .argument(
      '<source>',
      'a version that rackboot.yaml knows (mirror.versions), a directory, or a file://, http:// or https:// URL',
    )
    .argument('<dest>', 'the directory; a version is mirrored into the directory of its name in it')
    .option(
      '--exclude <pattern>',
      'leave out what matches, too: a regular expression over paths that begin with a slash; may be repeated',
      collect,
    )
    .option('--all', 'exclude nothing but what --exclude says')
    .option(
      '--extra-packages <names>',
      'packages that are mirrored with all that they need, excluded or not; separated by spaces',
    )
    .option('--jobs <count>', 'files fetched at one time; without it mirror.jobs', jobs)
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot repo mirror 8.3 /srv/mirrors\n  rackboot repo mirror http://mirror.example/xcp-ng/8.3 /srv/xcp-ng --extra-packages "gcc kernel-devel"',
    )
    .action(async (address: string, dest: string, options: MirrorOptions) => {
      const { config } = await siteOrDefault(context);
      const exclude = [...(options.all === true ? [] : config.mirror.exclude), ...(options.exclude ?? [])];
      requirePatterns(options.exclude ?? []);
      if (dest === '') throw new UsageError('the destination is empty; name a directory');
      const count = options.jobs ?? config.mirror.jobs;
      const place = await placeOf(address, dest, config);
      const opened = openSource(place.url, count);
      const { source } = opened;
      const progress = new Progress(context.stderr, { quiet: context.json });
      const elapsed = stopwatch();
      let report: MirrorReport;
      try {
        report = await mirrorTree({
          source,
          dir: place.dir,
          exclude,
          extraPackages: (options.extraPackages ?? '').split(/[\s,]+/).filter((name) => name !== ''),
          jobs: count,
          onProgress: (what, done, total) => progress.update(what, done, total),
        });
      } finally {
        opened.close();
        progress.end();
      }
      const ms = elapsed();
      context.print({ source: source.files.where, dir: place.dir, ...report, ms }, () =>
        describe(place.dir, report, ms),
      );
    });
}

function requirePatterns(patterns: readonly string[]): void {
  for (const pattern of patterns) {
    if (pattern === '') throw new UsageError('--exclude is empty, and would leave out everything');
    try {
      new RegExp(pattern, 'u');
    } catch {
      throw new UsageError(`--exclude ${pattern}: not a regular expression`);
    }
  }
}

/** What is mirrored, and where to: `8.3` is a version that the configuration knows, `8.3.0` the same. */
async function placeOf(
  address: string,
  dest: string,
  { mirror }: SiteConfig,
): Promise<{ readonly url: string; readonly dir: string }> {
  if (address.includes('://')) return { url: address, dir: path.resolve(dest) };
  const version = [address, address.replace(/\.\d+$/, '')].find(
    (each) => mirror.versions[each] !== undefined,
  );
  const url = version === undefined ? undefined : mirror.versions[version];
  if (url !== undefined) return { url, dir: path.resolve(dest, address) };
  const isDirectory = await stat(address).then(
    (info) => info.isDirectory(),
    () => false,
  );
  if (isDirectory) return { url: address, dir: path.resolve(dest) };
  throw new RepoError(
    'BAD_SOURCE',
    `${JSON.stringify(address)}: no URL, no directory, and no version that mirror.versions knows (${Object.keys(mirror.versions).join(', ')})`,
  );
}

function openSource(url: string, connections: number): { readonly source: MirrorSource; close(): void } {
  const tree = openTree(url);
  const local = tree.files.localPath?.('.');
  tree.close();
  if (local !== undefined) return { source: localSource(local), close: () => undefined };
  const client = webClient(connections);
  return { source: webSource(client, url), close: () => client.close() };
}

function describe(dir: string, report: MirrorReport, ms: number): string {
  const { repositories, files, fetched, bytes, removed, leftOut, unlisted } = report;
  const places = repositories.map((each) => (each === '' ? dir : path.join(dir, each)));
  return [
    `${dir}: ${files} files, ${fetched} of them fetched (${formatBytes(bytes)}), ${removed.length} gone (${formatDuration(ms)})`,
    ...(leftOut === 0 ? [] : [`${leftOut} packages are excluded`]),
    ...(unlisted === 0 ? [] : [`${unlisted} packages that no metadata lists are not mirrored`]),
    ...places.map((place) => `repository ${place}`),
  ].join('\n');
}
