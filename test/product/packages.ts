import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from './commands.js';

/** A package of the product: what it needs, and one file that says what it is. */
export interface ProductPackage {
  readonly name: string;
  readonly version: string;
  readonly requires: readonly string[];
}

/** What xcp-ng-deps takes, and one package that nothing requires. */
export const productPackages: readonly ProductPackage[] = [
  { name: 'xcp-ng-deps', version: '8.3', requires: ['xapi-core', 'kernel', 'xcp-ng-release'] },
  { name: 'xcp-ng-release', version: '8.3.0', requires: [] },
  // A plus in the version: clients ask for it as %2B.
  { name: 'kernel', version: '6.1.0+1', requires: ['xcp-ng-release'] },
  { name: 'xen-dom0-tools', version: '4.17.7', requires: ['kernel', 'libproduct.so.1()(64bit)'] },
  { name: 'product-libs', version: '1.0', requires: [] },
  { name: 'xapi-core', version: '24.19.2', requires: ['xen-dom0-tools'] },
  { name: 'forgotten-driver', version: '1.0', requires: ['kernel'] },
];

/** The names of the packages that an installation ends up with. */
export const installedPackages = productPackages
  .map(({ name }) => name)
  .filter((name) => name !== 'forgotten-driver')
  .sort();

/** Builds `packages`, unsigned, into `directory`. */
export async function buildPackages(
  packages: readonly ProductPackage[],
  directory: string,
  work: string,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await mkdir(work, { recursive: true });
  const spec = join(work, 'product.spec');
  await writeFile(spec, specText(packages));
  await runProgram(
    [
      ...['rpmbuild', '-bb', '--quiet', '--define', `_topdir ${work}`, '--define', '_build_id_links none'],
      ...['--define', '_binary_payload w6.gzdio', '--define', 'use_source_date_epoch_as_buildtime 1', spec],
    ],
    'rpm',
    { env: { SOURCE_DATE_EPOCH: '1700000000' } },
  );
  for (const arch of await readdir(join(work, 'RPMS'))) {
    for (const file of await readdir(join(work, 'RPMS', arch))) {
      await rename(join(work, 'RPMS', arch, file), join(directory, file));
    }
  }
}

function specText(packages: readonly ProductPackage[]): string {
  const [main, ...others] = packages;
  if (main === undefined) throw new Error('no packages to build');
  const head = (item: ProductPackage): string =>
    [
      `Version: ${item.version}`,
      'Summary: A package of the test product',
      'License: Apache-2.0',
      ...(item.name === 'product-libs' ? ['Provides: libproduct.so.1()(64bit)'] : []),
      ...item.requires.map((name) => `Requires: ${name}`),
    ].join('\n');
  const description = (item: ProductPackage): string =>
    `A package of the product that rackboot's tests install: ${item.name}.`;
  return `Name: ${main.name}
Release: 1
BuildArch: noarch
${head(main)}
%description
${description(main)}

${others
  .map(
    (item) => `%package -n ${item.name}\n${head(item)}\n%description -n ${item.name}\n${description(item)}\n`,
  )
  .join('\n')}
%install
${packages
  .map(({ name }) => {
    const file = `%{buildroot}/usr/share/product/${name}`;
    return `mkdir -p %{buildroot}/usr/share/product\necho ${name} > ${file}`;
  })
  .join('\n')}

${packages.map(({ name }) => `%files -n ${name}\n/usr/share/product/${name}\n`).join('\n')}
`;
}
