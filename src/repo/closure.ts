import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { RepoError } from './errors.js';
import type { PackageEntry } from './package-entry.js';
import { lastLine, run, type Ended } from './program.js';

/** A package that cannot be installed, and what it needs that no package provides. */
export interface Broken {
  readonly package: string; // name-version-release.arch
  readonly needs: readonly string[];
}

/**
 * The packages of the repository in `dir` whose dependencies lie neither in it nor in one of the repositories `others` (URLs
 * or directories), as dnf finds them. Throws RepoError NO_REPOSITORY for one of `others`,
 * MISSING_TOOL, TOOL_FAILED.
 */
export async function findBroken(
  dir: string,
  entries: readonly Pick<PackageEntry, 'arch'>[],
  others: readonly string[] = [],
): Promise<Broken[]> {
  const args = ['--disableplugin=*', '--enableplugin=repoclosure', 'repoclosure', '--check=tree'];
  const { code, stdout, stderr } = await runDnf(
    [pathToFileURL(dir).href, ...others.map(urlOf)],
    archOf(entries),
    args,
  );
  const broken = [
    ...stdout.matchAll(/^package: (\S+) from \S+\n +unresolved deps[^\n]*\n((?: {4}[^\n]*\n?)+)/gm),
  ].map(([, name = '', needs = '']) => ({ package: name, needs: needs.trim().split(/\n\s*/) }));
  if (code === 0 || broken.length > 0) return broken;
  const said = lastLine(stderr, stdout);
  const [, other, why] = /repo 'other(\d+)': (.+)$/.exec(said) ?? [];
  const address = others[Number(other) - 1];
  if (address === undefined) throw new RepoError('TOOL_FAILED', `dnf repoclosure failed: ${said}`);
  throw new RepoError(
    'NO_REPOSITORY',
    `${address}: dnf cannot read a repository there (${why ?? said}); see the address, or make one with: rackboot repo build DIR`,
  );
}

/**
 * The packages `names` of the repositories at `urls` with everything that they need, as URLs. Throws RepoError UNRESOLVED with
 * what dnf says when it cannot be had, MISSING_TOOL.
 */
export async function resolvePackages(
  names: readonly string[],
  urls: readonly string[],
  arch: string,
): Promise<string[]> {
  const args = [
    '--disableplugin=*',
    '--enableplugin=download',
    'download',
    '--resolve',
    '--alldeps',
    '--url',
    '--',
    ...names,
  ];
  const { code, stdout, stderr } = await runDnf(urls, arch, args);
  const found = stdout.split('\n').filter((line) => /^[a-z]+:\/\//.test(line));
  if (code === 0 && found.length > 0) return found;
  const problem = stderr
    .split('\n')
    .map((line) => line.replace(/^(?:Error:|\s*Problem(?: \d+)?:|\s*-)\s*/, '').trim())
    .filter((line) => line !== '' && !/try to add|traceback/i.test(line));
  throw new RepoError(
    'UNRESOLVED',
    `${names.join(', ')}: ${problem.slice(0, 5).join('; ') || lastLine(stderr, stdout)}`,
  );
}

/** Runs dnf over repositories `tree`, `other1` … alone: nothing of this machine’s configuration, and nothing is left behind. */
async function runDnf(urls: readonly string[], arch: string, args: readonly string[]): Promise<Ended> {
  const work = await mkdtemp(path.join(tmpdir(), 'rackboot-dnf-'));
  try {
    const configuration = path.join(work, 'dnf.conf');
    const lines = [
      '[main]',
      'gpgcheck=0',
      `cachedir=${work}/cache`,
      `persistdir=${work}/state`,
      `logdir=${work}/log`,
      `reposdir=${work}/none`,
      `varsdir=${work}/none`,
      'install_weak_deps=False',
      'module_platform_id=platform:none',
      ...urls.flatMap((url, at) => [
        `[${at === 0 ? 'tree' : `other${String(at)}`}]`,
        `name=${at === 0 ? 'tree' : `other${String(at)}`}`,
        `baseurl=${url}`,
      ]),
    ];
    await writeFile(configuration, lines.map((line) => `${line}\n`).join(''));
    return await run({
      program: 'dnf',
      package: 'dnf dnf-plugins-core',
      args: [
        '--quiet',
        `--config=${configuration}`,
        `--installroot=${work}/root`,
        '--releasever=1',
        `--forcearch=${arch}`,
        ...args,
      ],
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The machine that packages are for; noarch runs everywhere. */
export function archOf(entries: readonly Pick<PackageEntry, 'arch'>[]): string {
  const archs = new Set(entries.map(({ arch }) => arch));
  return ['x86_64', 'aarch64', 'ppc64le', 's390x', 'riscv64'].find((arch) => archs.has(arch)) ?? 'x86_64';
}

/** A repository’s address as a URL: a path is made one. */
export function urlOf(address: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : pathToFileURL(path.resolve(address)).href;
}
