import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../product/commands.js';

/** A package to be made by rpmbuild of what lies in a directory. */
export interface TreePackage {
  readonly name: string;
  readonly version?: string;
  readonly requires?: readonly string[];
  readonly provides?: readonly string[];
  readonly root?: string; // everything in it, directories too
  readonly only?: readonly string[]; // of its paths, those that are or lie below these; `/boot`
  readonly attributes?: Readonly<Record<string, string>>; // path: of %attr, `4755, root, mail`
  readonly post?: string; // script after its installation
}

/** When packages are built, in seconds: what image create dates an image by. */
export const BUILT = 1_700_000_000;

/** Makes `packages` below `into`, flat; each is told to the packager as it lies on disk, as root's. */
export async function buildTreePackages(into: string, packages: readonly TreePackage[]): Promise<void> {
  const top = await mkdtemp(join(tmpdir(), 'rackboot-rpmbuild-'));
  try {
    for (const item of packages) await build(top, item);
    await mkdir(into, { recursive: true });
    const made = join(top, 'RPMS', 'x86_64');
    for (const name of await readdir(made)) await rename(join(made, name), join(into, name));
  } finally {
    await rm(top, { recursive: true, force: true });
  }
}

async function build(top: string, item: TreePackage): Promise<void> {
  const { name, version = '1', requires = [], provides = [], attributes = {}, post } = item;
  const files = await filesOf(item);
  const list = join(top, `${name}.files`);
  await writeFile(
    list,
    files
      .map(({ path, isDirectory }) => {
        const attribute = attributes[path] === undefined ? '' : `%attr(${attributes[path]}) `;
        return `${isDirectory ? '%dir ' : ''}${attribute}"${path}"\n`;
      })
      .join(''),
  );
  const copies =
    item.root === undefined
      ? ''
      : files
          .filter(({ path }) => path !== '/')
          .map(({ path, isDirectory }) =>
            isDirectory
              ? `mkdir -p "%{buildroot}${path}"`
              : `mkdir -p "$(dirname "%{buildroot}${path}")"; cp -a "${item.root ?? ''}${path}" "%{buildroot}${path}"`,
          )
          .join('\n');
  const spec = join(top, `${name}.spec`);
  await writeFile(
    spec,
    [
      `Name: ${name}\nVersion: ${version}\nRelease: 1\nSummary: ${name}\nLicense: Apache-2.0\nAutoReqProv: no`,
      ...requires.map((need) => `Requires: ${need}`),
      ...provides.map((what) => `Provides: ${what}`),
      `%description\nMade by the tests.`,
      `%install\nmkdir -p %{buildroot}\n${copies}`,
      ...(post === undefined ? [] : [`%post\n${post}`]),
      `%files${files.length === 0 ? '' : ` -f ${list}`}\n%defattr(-,root,root)\n`,
    ].join('\n'),
  );
  await runProgram(
    [
      ...['rpmbuild', '-bb', '--quiet', '--target', 'x86_64', '--define', `_topdir ${top}`],
      ...['--define', '_build_id_links none', '--define', '__os_install_post %{nil}'],
      ...['--define', '_binary_payload w1.gzdio', '--define', 'use_source_date_epoch_as_buildtime 1'],
      ...['--define', 'clamp_mtime_to_source_date_epoch 1', '--define', '_buildhost builder', spec],
    ],
    'rpm',
    { env: { SOURCE_DATE_EPOCH: String(BUILT) } },
  );
}

async function filesOf({ root, only }: TreePackage): Promise<{ path: string; isDirectory: boolean }[]> {
  if (root === undefined) return [];
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  return entries
    .map((entry) => ({
      path: join(entry.parentPath, entry.name).slice(root.length),
      isDirectory: entry.isDirectory(),
    }))
    .filter(({ path }) => only === undefined || only.some((at) => path === at || path.startsWith(`${at}/`)))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}
