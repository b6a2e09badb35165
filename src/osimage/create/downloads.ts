import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { filterBytes, type FilterProgram } from '../../image/filter.js';
import { output, run } from '../../repo/program.js';
import { requireRunning } from './installed-root.js';
import { dnfError, WORK_IN_ROOT } from './package-manager.js';

/** How packages are fetched from the layers' repositories. */
export interface Downloads {
  /** Those of `names` that the repositories have a package of. */
  known(names: readonly string[]): Promise<ReadonlySet<string>>;
  /** Throws RepoError UNRESOLVED when `names` with all that they need are not to be had. Fetches no package. */
  requireAll(names: readonly string[]): Promise<void>;
  /** Fetches the newest package of each name into `into`, with all that they need where `resolve` says so. Throws RepoError. */
  fetch(names: readonly string[], into: string, options: { readonly resolve: boolean }): Promise<string[]>;
}

/**
 * Downloads by dnf, with the arguments of layPackageManager; `work` is for what it keeps meanwhile. When `signal` comes they
 * end, and throw OsimageError COMMAND_FAILED.
 */
export function downloads(dnf: readonly string[], work: string, signal: AbortSignal): Downloads {
  const root = path.join(work, 'nothing-installed');
  const call = async (what: string, command: string, args: readonly string[]): Promise<string> => {
    await mkdir(path.join(root, WORK_IN_ROOT), { recursive: true });
    const { code, stdout, stderr } = await run({
      signal,
      program: 'setpriv', // dnf ends with this process, also when that is killed
      package: 'util-linux',
      args: [
        ...['--pdeathsig', 'KILL', '--', 'dnf', ...dnf], // not --quiet: that hides why a server does not answer
        ...(command === 'download' ? ['--enableplugin=download'] : []),
        ...[`--installroot=${root}`, command, ...args],
      ],
      env: proxies(),
    }).catch((error: unknown) => {
      requireRunning(signal);
      throw error;
    });
    requireRunning(signal);
    if (code !== 0) throw dnfError(what, stderr.trim() === '' ? stdout : stderr);
    return stdout;
  };
  return {
    async known(names) {
      const listed = await call('the packages of the medium cannot be listed', 'repoquery', [
        ...['--queryformat', '%{name}', '--', ...names],
      ]);
      return new Set(listed.split('\n').filter((name) => names.includes(name)));
    },
    async requireAll(names) {
      const all = ['--resolve', '--alldeps', '--url'];
      await call(`the tree's packages (${names.join(', ')})`, 'download', [...all, '--', ...names]);
    },
    async fetch(names, into, { resolve }) {
      await mkdir(into, { recursive: true });
      const all = resolve ? ['--resolve', '--alldeps'] : [];
      await call(`${names.join(', ')}: cannot be fetched`, 'download', [
        `--destdir=${into}`,
        ...all,
        '--',
        ...names,
      ]);
      const files = (await readdir(into)).filter((name) => name.endsWith('.rpm')).sort();
      return files.map((name) => path.join(into, name));
    },
  };
}

/** Throws RepoError MISSING_TOOL where a program that makes images of packages is not installed. */
export async function requirePrograms(): Promise<void> {
  await output({ program: 'dnf', args: ['--version'], package: 'dnf dnf-plugins-core' });
  await output({ program: 'rpmdb', args: ['--version'], package: 'rpm' });
}

/** What of this process's environment says how to reach web servers. */
export function proxies(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      /^(https?|ftp|no|all)_proxy$/i.test(name) && value !== undefined ? [[name, value]] : [],
    ),
  );
}

/** The name of the package in a file. Throws RepoError MISSING_TOOL, TOOL_FAILED. */
export async function packageName(file: string): Promise<string> {
  const args = ['--query', '--package', '--nosignature', '--nodigest', '--queryformat', '%{NAME}', file];
  return (await output({ program: 'rpm', package: 'rpm', args })).trim();
}

/**
 * Unpacks the files of a package whose paths (relative) match into `into`. None of its scripts is run. Throws ImageError
 * MISSING_TOOL, TOOL_FAILED.
 */
export async function unpackPackage(file: string, wanted: RegExp, into: string): Promise<void> {
  await mkdir(into, { recursive: true });
  const bsdtar = (...args: readonly string[]): FilterProgram => ({
    ...{ program: 'bsdtar', package: 'libarchive-tools' },
    args: [...args, '-f', file],
  });
  const names = (await filterBytes(bsdtar('-t'), Buffer.alloc(0))).toString('latin1').split('\n');
  const taken = names.filter((name) => wanted.test(name.replace(/^\.\//, '')));
  if (taken.length === 0) return;
  const list = `${into}.files`;
  await writeFile(list, taken.map((name) => `${name}\0`).join(''), 'latin1');
  const unpack = bsdtar('-x', '-C', into, '--no-same-owner', '--no-same-permissions', '--null', '-T', list);
  await filterBytes(unpack, Buffer.alloc(0));
}
