import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { output } from '../programs.js';

/** The kernel that fixtures are built for unless told otherwise. */
export const KERNEL = '6.1.0-50-test';

export interface ModuleSpec {
  readonly kernel?: string;
  readonly exports?: readonly string[];
  readonly needs?: readonly string[];
  readonly alias?: string;
  readonly bits?: 32 | 64;
  readonly info?: readonly string[]; // more of .modinfo
}

/** An object file with what depmod looks at in a kernel module, compiled by gcc. Loading it would fail. */
export async function compileModule(spec: ModuleSpec = {}): Promise<Buffer> {
  const { kernel = KERNEL, exports = [], needs = [], alias, bits = 64, info = [] } = spec;
  const fields = [
    ...info,
    `vermagic=${kernel} SMP mod_unload `,
    ...(alias === undefined ? [] : [`alias=${alias}`]),
  ];
  const strings = (values: readonly string[]): string => values.map((value) => `"${value}\\0"`).join(' ');
  const inSection = (section: string, values: readonly string[]): string =>
    `static const char in_${section.replace(/\W/g, '_')}[] __attribute__((section("${section}"), used)) = ${strings(values)};`;
  const source = [
    inSection('.modinfo', fields),
    ...(exports.length === 0 ? [] : [inSection('__ksymtab_strings', exports)]),
    ...needs.map((symbol) => `extern void ${symbol}(void);`),
    `void entry(void) { ${needs.map((symbol) => `${symbol}();`).join(' ')} }`,
  ].join('\n');
  const dir = await mkdtemp(path.join(os.tmpdir(), 'rackboot-module-'));
  try {
    const file = path.join(dir, 'm.ko');
    await output(
      'gcc',
      [`-m${bits}`, '-w', '-fno-pic', '-c', '-x', 'c', '-o', file, '-'],
      Buffer.from(source),
    );
    return await output('cat', [file]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Writes files below `dir`. */
export async function layOut(dir: string, files: Readonly<Record<string, Buffer | string>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(path.join(dir, path.dirname(name)), { recursive: true });
    await writeFile(path.join(dir, name), bytes);
  }
}

/** A Debian package of the files, whose scripts would leave `ran` beside it. */
export async function makeDeb(file: string, files: Readonly<Record<string, Buffer | string>>): Promise<void> {
  const tree = `${file}.tree`;
  const script = `#!/bin/sh\ntouch ${file}.ran\n`;
  await layOut(tree, {
    ...files,
    'DEBIAN/control':
      'Package: fixture\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n',
  });
  await writeFile(path.join(tree, 'DEBIAN/postinst'), script, { mode: 0o755 });
  await output('dpkg-deb', ['--build', '--root-owner-group', tree, file]);
  await rm(tree, { recursive: true });
}

/** An RPM of the files, with its payload compressed as told (`w2.xzdio`). */
export async function makeRpm(
  file: string,
  files: Readonly<Record<string, Buffer | string>>,
  payload: string,
): Promise<void> {
  const top = `${file}.top`;
  await layOut(path.join(top, 'tree'), files);
  const spec = [
    ...['Name: fixture', 'Version: 1', 'Release: 1', 'Summary: x', 'License: x', 'BuildArch: noarch'],
    ...[
      '%description',
      'x',
      '%install',
      `cp -a ${top}/tree/. %{buildroot}/`,
      '%post',
      `touch ${file}.ran`,
      '%files',
    ],
    ...Object.keys(files).map((name) => `/${name}`),
  ];
  await writeFile(path.join(top, 'x.spec'), `${spec.join('\n')}\n`);
  await output('rpmbuild', [
    ...['-bb', '--quiet', '--define', `_topdir ${top}`, '--define', `_binary_payload ${payload}`],
    ...[
      '--define',
      `_rpmdir ${top}`,
      '--define',
      '_build_name_fmt out.rpm',
      '--define',
      '__os_install_post %{nil}',
    ],
    ...['--buildroot', `${top}/root`, `${top}/x.spec`],
  ]);
  await output('mv', [path.join(top, 'out.rpm'), file]);
  await rm(top, { recursive: true });
}
