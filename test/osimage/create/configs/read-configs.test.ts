import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { ImageError } from '../../../../src/image/errors.js';
import { parseSyslinux } from '../../../../src/image/boot-config/syslinux.js';
import { parseGrub } from '../../../../src/image/boot-config/grub.js';
import { fillTemplate } from '../../../../src/osimage/create/configs/placeholders.js';
import { readCreateConfigs } from '../../../../src/osimage/create/configs/read-configs.js';
import type {
  CreateConfigs,
  CreateConfigsRequest,
} from '../../../../src/osimage/create/configs/types.js';
import { mergeMenus } from '../../../../src/osimage/family/menus.js';
import { parseTreeinfo, productOf } from '../../../../src/repo/treeinfo.js';
import { buildRepository } from '../../../../src/repo/build.js';
import { packageRoot } from '../../../../src/site/assets.js';
import { inDirectory, output } from '../../../image/programs.js';
import { makePackages } from '../../../repo/rpm-packages.js';
import { writeCheckout } from './checkout.js';

const read = (spec: string, change: Partial<CreateConfigsRequest> = {}): Promise<CreateConfigs> =>
  readCreateConfigs({
    spec,
    searchDirs: [path.join(packageRoot(), 'configs')],
    sourceUrls: { all: 'file:///mirror', byLayer: new Map() },
    definedRepositories: [],
    releaseUrls: {},
    arch: 'x86_64',
    ...change,
  });

const names = ({ layers }: CreateConfigs): string[] => layers.map(({ name }) => name);

test('a checkout is one set of layers, whatever rackboot ships under the same names', async (t) => {
  await inDirectory(async (dir) => {
    await writeCheckout(dir);
    const configs = await read(`${dir}/configs/8.3:testing`);
    t.deepEqual(names(configs), ['8.3', 'testing', 'candidates', 'updates', 'base']);
    t.true(configs.layers.every((layer) => layer.dir.startsWith(dir)));
    t.deepEqual([configs.dist, configs.release], ['8.3', '8.3']);
    t.deepEqual(configs.packages, ['host-installer', 'quoted-name', 'kernel', 'kernel-alt']);
    t.is(configs.yumConf.where, `${dir}/configs/8.3/yum.conf.tmpl`);
    t.deepEqual(
      configs.repositories.map(({ name }) => name),
      ['testing', 'candidates', 'updates', 'base'],
    );
    t.regex(configs.repositories[0]?.text ?? '', /^baseurl=file:\/\/\/mirror\/testing\/x86_64\/$/m);
    t.deepEqual(configs.isoTemplates, [`${dir}/templates/iso/8.3`]);
    t.deepEqual(configs.installImageTemplates, [`${dir}/templates/installimg/8.3`]);
    t.is(configs.bootArguments, '');
    // As a search directory it is the same.
    const searched = await read('8.3:testing', { searchDirs: [path.join(dir, 'configs')] });
    t.deepEqual(searched, configs);
  });
});

test('the first layer that has a file gives it; words for the kernel line come from all, the highest last', async (t) => {
  await inDirectory(async (dir) => {
    await writeCheckout(dir, { 'configs/mine/packages.lst': 'only-this\n' });
    const configs = await read(`${dir}/configs/mine:verbose:nokey:8.3:updates`);
    t.deepEqual(configs.packages, ['only-this']);
    t.is(configs.dist, '8.3');
    t.is(configs.bootArguments, 'no-gpgcheck console=ttyS0 loglevel=7');
  });
});

test('templates of layers lie over those beside configs/', async (t) => {
  await inDirectory(async (dir) => {
    await writeCheckout(dir, {
      'configs/mine/templates/installimg/8.3/etc/motd': 'mine\n',
      'configs/mine/templates/iso/8.2/EULA': 'of another release\n',
    });
    const configs = await read(`${dir}/configs/mine:8.3:updates`);
    t.deepEqual(configs.installImageTemplates, [
      `${dir}/templates/installimg/8.3`,
      `${dir}/configs/mine/templates/installimg/8.3`,
    ]);
    t.deepEqual(configs.isoTemplates, [`${dir}/templates/iso/8.3`]);
  });
});

test('source URLs: a layer’s own, the one for all, the release’s', async (t) => {
  await inDirectory(async (dir) => {
    await writeCheckout(dir);
    const urls = async (change: Partial<CreateConfigsRequest>): Promise<string[]> =>
      (await read(`${dir}/configs/8.3:updates`, change)).repositories.map(
        ({ text }) => /^baseurl=(.*)$/m.exec(text)?.[1] ?? '',
      );
    const byLayer = new Map([['updates', 'http://a/b,c&d']]);
    t.deepEqual(await urls({ sourceUrls: { all: 'http://all', byLayer } }), [
      'http://a/b,c&d/updates/x86_64/',
      'http://all/base/x86_64/',
    ]);
    const releaseUrls = { '8.3': 'http://release/8/8.3/' };
    t.deepEqual(await urls({ sourceUrls: { byLayer }, releaseUrls }), [
      'http://a/b,c&d/updates/x86_64/',
      'http://release/8/8.3/base/x86_64/',
    ]);
    t.deepEqual(
      await urls({ definedRepositories: [{ nick: 'mine', url: 'http://mine' }] }),
      ['file:///mirror/updates/x86_64/', 'file:///mirror/base/x86_64/', 'http://mine/x86_64/'],
    );
  });
});

const WRONG: readonly {
  readonly title: string;
  readonly spec?: string;
  readonly files?: Readonly<Record<string, string | null>>;
  readonly change?: Partial<CreateConfigsRequest>;
  readonly message: RegExp;
}[] = [
  {
    title: 'a loop of INCLUDE, with its chain',
    files: { 'configs/base/INCLUDE': 'testing\n' },
    message: /^layer testing includes itself: \S+testing → \S+candidates → \S+updates → \S+base → \S+testing; /,
  },
  {
    title: 'no packages.lst',
    files: { 'configs/8.3/packages.lst': null },
    message: /^cannot find packages\.lst in \S+\/8\.3, \S+\/testing, .*\/base; add a layer/,
  },
  {
    title: 'no CUSTOMREPO.tmpl for a repository defined by hand',
    files: { 'configs/base/CUSTOMREPO.tmpl': null },
    change: { definedRepositories: [{ nick: 'a', url: 'http://a' }] },
    message: /^cannot find CUSTOMREPO\.tmpl in /,
  },
  {
    title: 'a repository that is nowhere, which dnf would pass over',
    files: { 'configs/base/yum-repos.conf.tmpl': '[base]\nname=base\n' },
    message: /\/configs\/base\/yum-repos\.conf\.tmpl: \[base\] does not say where it lies; add baseurl=/,
  },
  {
    title: 'a repository file that is none',
    files: { 'configs/base/yum-repos.conf.tmpl': '[base]\nbaseurl=@@SRCURL@@\ngarbage\n' },
    message: /\/configs\/base\/yum-repos\.conf\.tmpl:3: "garbage" is neither \[section\] nor name=value/,
  },
  {
    title: 'no repository',
    spec: '8.3',
    message: /^no repository: none of 8\.3 has yum-repos\.conf\.tmpl that holds one; add a layer such as updates/,
  },
  {
    title: 'an unknown placeholder, by file and line',
    files: { 'configs/base/yum-repos.conf.tmpl': '[base]\nbaseurl=@@SRCURL@@\nx=@@WHAT@@\n' },
    message: /\/configs\/base\/yum-repos\.conf\.tmpl:3: @@WHAT@@ is no placeholder; there are @@YUMREPOSD@@, /,
  },
  {
    title: 'no URL for a placeholder',
    change: { sourceUrls: { byLayer: new Map() } },
    message: /\/testing\/yum-repos\.conf\.tmpl:3: @@SRCURL@@ has no value in this file; give --srcurl URL/,
  },
  {
    title: 'a source URL of a layer that is not used',
    change: { sourceUrls: { byLayer: new Map([['linstor', 'http://x']]) } },
    message: /^--srcurl:linstor: no layer of that name is used; there are 8\.3, testing, candidates, updates, base$/,
  },
  {
    title: 'two repository files of one name',
    change: { definedRepositories: [{ nick: 'updates', url: 'http://a' }] },
    message: /^--define-repo updates!http:\/\/a: a second repository file updates\.repo; /,
  },
  {
    title: 'an open quote',
    files: { 'configs/8.3/packages.lst': 'a\nb "c\n' },
    message: /packages\.lst:2: a quote \("\) that nothing closes/,
  },
  {
    title: 'an option among the packages',
    files: { 'configs/8.3/packages.lst': 'a --nogpgcheck\n' },
    message: /packages\.lst:1: --nogpgcheck begins with a dash/,
  },
  {
    title: 'no package',
    files: { 'configs/8.3/packages.lst': '# nothing\n' },
    message: /packages\.lst: no package; list one a line$/,
  },
  {
    title: 'a template among plain words',
    files: { 'configs/testing/installer-bootargs.lst': 'a\nb={{ node.name }}\n' },
    message: /installer-bootargs\.lst:2: holds words as they are; put templates into bootargs$/,
  },
];

for (const { title, spec = '8.3:testing', files = {}, change = {}, message } of WRONG) {
  test(`refused: ${title}`, async (t) => {
    await inDirectory(async (dir) => {
      await writeCheckout(dir, files);
      const error = await t.throwsAsync(
        read(spec, { searchDirs: [path.join(dir, 'configs')], ...change }),
        { instanceOf: ImageError },
      );
      t.regex(error?.message ?? '', message);
      t.false(error?.message.includes('\n'));
    });
  });
}

test('an INCLUDE’s last line counts without its end of line', async (t) => {
  await inDirectory(async (dir) => {
    await writeCheckout(dir, { 'configs/updates/INCLUDE': 'nokey\nbase' });
    t.deepEqual(names(await read(`${dir}/configs/8.3:updates`)), ['8.3', 'updates', 'nokey', 'base']);
  });
});

const SHIPPED = path.join(packageRoot(), 'configs');

for (const release of ['8.2', '8.3']) {
  test(`the layers that ship make an installer of ${release}, attended or not`, async (t) => {
    const releaseUrls = { [release]: `https://mirror.rack.example/8/${release}` };
    const request = { sourceUrls: { byLayer: new Map<string, string>() }, releaseUrls };
    const plain = await read(`${release}:testing`, request);
    t.deepEqual(names(plain), [release, 'testing', 'candidates', 'updates', 'base']);
    const unattended = await read(`xcp-ng-${release}:${release}:testing`, request);
    t.deepEqual(unattended.packages, plain.packages);
    t.deepEqual(plain.notes, []);
    t.deepEqual(unattended.notes, [
      'layer xcp-ng: answerfile.liquid, bootargs, overlay left for rackboot image build --layers xcp-ng',
      'layer report: overlay left for rackboot image build --layers report',
    ]);
    t.deepEqual(unattended.isoTemplates, [`${SHIPPED}/${release}/templates/iso/${release}`]);
    t.deepEqual(unattended.installImageTemplates, [
      `${SHIPPED}/${release}/templates/installimg/${release}`,
    ]);
    t.true(plain.packages.includes('host-installer-startup'));
  });

  test(`menus and .treeinfo of ${release} say what installers and loaders read`, (t) => {
    const at = (name: string): string =>
      readFileSync(path.join(SHIPPED, release, 'templates/iso', release, name), 'utf8');
    const isolinux = parseSyslinux(at('boot/isolinux/isolinux.cfg'), 'boot/isolinux');
    const merged = mergeMenus(isolinux, parseGrub(at('EFI/xenserver/grub.cfg')));
    t.deepEqual(merged.notes, release === '8.3' ? [] : ['boot entry memtest is in the BIOS menu only']);
    t.deepEqual(
      merged.entries.map(({ label }) => label),
      ['install', 'no-serial', 'safe', 'multipath', 'install-alt', 'shell', 'memtest'],
    );
    const text = fillTemplate(
      { where: '.treeinfo', text: at('.treeinfo') },
      {
        TIMESTAMP: '1700000000.00',
        PLATFORM_NAME: 'XCP',
        PLATFORM_VERSION: '3.4.0',
        PRODUCT_BRAND: 'XCP-ng',
        PRODUCT_VERSION: `${release}.0`,
      },
    );
    const treeinfo = parseTreeinfo(text, '.treeinfo');
    t.deepEqual(productOf(treeinfo), { name: 'XCP-ng', version: `${release}.0` });
    t.deepEqual(treeinfo.keys, []);
  });
}

test('dnf reads what the layers that ship say, and finds the packages', async (t) => {
  await inDirectory(async (dir) => {
    const mine = path.join(dir, 'mine/x86_64');
    await makePackages(mine, [{ name: 'probe' }]);
    await buildRepository({ dir: mine });
    const configs = await read('8.3:base', {
      definedRepositories: [{ nick: 'mine', url: `file://${dir}/mine` }],
    });
    const repos = path.join(dir, 'repos');
    await mkdir(repos);
    for (const { name, text } of configs.repositories) await writeFile(path.join(repos, `${name}.repo`), text);
    const values = { CACHEDIR: path.join(dir, 'cache'), YUMREPOSD: repos, ENABLE_PLUGINS: '0' };
    for (const template of [configs.yumConf, configs.yumDownloadConf]) {
      const conf = path.join(dir, 'yum.conf');
      await writeFile(conf, fillTemplate(template, values));
      const root = ['--installroot', path.join(dir, 'root'), '--releasever', '8.3'];
      const dnf = async (...words: string[]): Promise<string> =>
        (await output('dnf', ['-c', conf, ...root, ...words])).toString();
      t.regex(await dnf('repolist', '--all'), /^mine .*\n(.*\n)?xcp-ng-base +XCP-ng base/m);
      t.regex(await dnf('--repo', 'mine', 'repoquery'), /^probe-0:1.*\.noarch$/m);
      t.regex(await dnf('repolist', '--verbose', '--repo', 'mine'), /^Repo-baseurl +: file:\/\/.*\/mine\/x86_64\/$/m);
      await rm(path.join(dir, 'cache'), { recursive: true, force: true });
    }
  });
});
