import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { shell } from '../measure.js';

/** Makes `count` noarch packages of about `kilobytes` each below `dir`, with forty files in each. */
export async function makePackages(
  dir: string,
  count: number,
  kilobytes: number,
  prefix = 'corpus',
): Promise<void> {
  const top = `${dir}.rpmbuild`;
  await mkdir(top, { recursive: true });
  const numbers = Array.from({ length: count }, (_, at) => at + 1);
  const packages = numbers.map((number) =>
    [
      `%package p${number}`,
      `Summary: package ${number}`,
      ...(number > 1 ? [`Requires: ${prefix}-p${number - 1}`] : []),
      `%description p${number}`,
      `The package ${number} of the corpus, which stands for one of a product.`,
      `%files p${number}`,
      `/opt/${prefix}/p${number}`,
    ].join('\n'),
  );
  const spec = `Name: ${prefix}
Version: 1
Release: 1
Summary: corpus
License: MIT
BuildArch: noarch
AutoReqProv: no
%define _binary_payload w0.gzdio
%define __os_install_post %{nil}
%description
corpus
${packages.join('\n')}
%install
mkdir -p %{buildroot}/opt/${prefix}; cd %{buildroot}/opt/${prefix}
for number in $(seq 1 ${count}); do
  mkdir p$number
  head -c ${kilobytes}K /dev/urandom > p$number/content
  for file in $(seq 1 39); do echo $number > p$number/a-file-of-this-package-$file.conf; done
done
%changelog
* Sat Jan 03 2026 A Builder <builder@example.test> - 1-1
- made
`;
  await writeFile(path.join(top, 'corpus.spec'), spec);
  await shell(`rpmbuild -bb --define "_topdir ${top}" ${top}/corpus.spec > ${top}/log 2>&1`, top);
  await mkdir(dir, { recursive: true });
  const made = path.join(top, 'RPMS', 'noarch');
  for (const name of await readdir(made)) await rename(path.join(made, name), path.join(dir, name));
  await rm(top, { recursive: true, force: true });
}
