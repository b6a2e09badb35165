import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { output } from '../image/programs.js';

/** A package to be made by rpmbuild. */
export interface PackageSpec {
  readonly name: string;
  readonly version?: string;
  readonly requires?: readonly string[];
  readonly provides?: readonly string[];
  readonly files?: Readonly<Record<string, string>>; // absolute path: content
}

/** An empty directory that is gone when the test ends. */
export async function workDirectory(t: Pick<ExecutionContext, 'teardown'>): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'rackboot-repo-test-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Makes noarch packages below `dir`, flat, all in one run of rpmbuild; built at a fixed time. */
export async function makePackages(dir: string, specs: readonly PackageSpec[]): Promise<void> {
  const top = await mkdtemp(path.join(tmpdir(), 'rackboot-rpmbuild-'));
  try {
    await writeFile(path.join(top, 'packages.spec'), specFile(specs));
    const defines = [
      `_topdir ${top}`,
      '_binary_payload w1.gzdio',
      'use_source_date_epoch_as_buildtime 1',
      '_buildhost builder',
      '__os_install_post %{nil}',
    ];
    const args = defines.flatMap((define) => ['--define', define]);
    await output('rpmbuild', ['-bb', ...args, path.join(top, 'packages.spec')]);
    await mkdir(dir, { recursive: true });
    const made = path.join(top, 'RPMS', 'noarch');
    for (const name of await readdir(made)) await rename(path.join(made, name), path.join(dir, name));
  } finally {
    await rm(top, { recursive: true, force: true });
  }
}

function specFile(specs: readonly PackageSpec[]): string {
  const packages = specs.map(({ name, version = '1', requires = [], provides = [], files = {} }) =>
    [
      `%package -n ${name}`,
      `Version: ${version}`,
      `Summary: the package ${name}`,
      ...requires.map((need) => `Requires: ${need}`),
      ...provides.map((name) => `Provides: ${name}`),
      `%description -n ${name}`,
      `The package ${name} & its files.`,
      `%files -n ${name}`,
      ...Object.keys(files),
    ].join('\n'),
  );
  const install = specs.flatMap(({ files = {} }) =>
    Object.entries(files).map(
      ([file, content]) =>
        `mkdir -p %{buildroot}${path.posix.dirname(file)}; printf %%s '${content}' > %{buildroot}${file}`,
    ),
  );
  return [
    'Name: fixture\nVersion: 1\nRelease: 1\nSummary: fixture\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no',
    '%description\nfixture',
    ...packages,
    '%install',
    'mkdir -p %{buildroot}',
    ...install,
    '%changelog\n* Sat Jan 03 2026 A Builder <builder@example.test> - 1-1\n- made',
    '',
  ].join('\n');
}
