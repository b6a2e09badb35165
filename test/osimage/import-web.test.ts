import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import { newSite } from '../cli/in-process.js';
import { makeElIso, writeEl } from './family/el-media.js';
import { makeXcpNgIso, writeXcpNg } from './family/xcp-ng-media.js';
import { writeDriverDisk, writeRepodata } from './repodata.js';
import { serveFiles } from './web-server.js';

const PACKAGES = ['Packages/a package+1.0-1.x86_64.rpm', 'Packages/xcp-ng-deps-8.3-1.noarch.rpm'];

async function generationOf(json: (...words: string[]) => Promise<unknown>, name: string): Promise<string> {
  return ((await json('image', 'history', name)) as { id: string }[])[0]!.id;
}

test('a tree on a web server comes in as its directory does, without a listing', async (t) => {
  const { rackboot, json, dir } = await newSite(t);
  const media = join(dirname(dir), 'media');
  await writeXcpNg(media);
  await writeRepodata(media, PACKAGES);
  const { url, asked } = await serveFiles(t, media);
  const web = await rackboot('image', 'import', `${url}/`, '--name', 'web');
  t.is(web.status, 0, web.err);
  t.regex(web.err, /files, which its menus, \.treeinfo and repositories name/);
  t.is((await rackboot('image', 'import', media, '--name', 'local')).status, 0);
  t.is(await generationOf(json, 'web'), await generationOf(json, 'local'));
  for (const path of PACKAGES) t.is(asked.filter((name) => name === `/${path}`).length, 1, path);
  const [entry] = (await json('image', 'history', 'web')) as { note: string }[];
  t.is(entry?.note, `import ${url}`);
});

test('what a menu on a web server includes is found, and what that loads', async (t) => {
  const { rackboot, json, dir } = await newSite(t);
  const media = join(dirname(dir), 'media');
  const extra =
    'label extra\n  kernel /boot/extra/vmlinuz\n  append initrd=/boot/extra/initrd console=tty0\n';
  await writeXcpNg(media, {
    isolinux: (text) => `${text}\ninclude extra.cfg\ninclude ../../../outside.cfg\n`,
    files: {
      'boot/isolinux/extra.cfg': extra,
      'boot/extra/vmlinuz': 'extra kernel',
      'boot/extra/initrd': 'extra archive',
    },
  });
  await writeRepodata(media, PACKAGES);
  const { url } = await serveFiles(t, media);
  const web = await rackboot('image', 'import', url, '--name', 'web');
  t.is(web.status, 0, web.err);
  t.is((await rackboot('image', 'import', media, '--name', 'dir')).status, 0);
  t.is(await generationOf(json, 'web'), await generationOf(json, 'dir'));
  const { boot } = (await json('image', 'show', 'web')) as { boot: { label: string; initrds: string[] }[] };
  t.like(boot.at(-1), { label: 'extra', initrds: ['boot/extra/initrd'] });
});

test('an Anaconda tree with a repository beside the first, and one in a password’s reach', async (t) => {
  const { rackboot, json, dir } = await newSite(t);
  const media = join(dirname(dir), 'media');
  await writeEl(media);
  await writeRepodata(media, ['Packages/a-1-1.x86_64.rpm']);
  await mkdir(join(media, 'AppStream/Packages'), { recursive: true });
  await writeFile(join(media, 'AppStream/Packages/b.rpm'), 'package b');
  await writeRepodata(join(media, 'AppStream'), ['Packages/b.rpm']);
  const info = await readFile(join(media, '.treeinfo'), 'utf8');
  await writeFile(join(media, '.treeinfo'), `${info}\n[variant-AppStream]\nrepository = AppStream\n`);
  const { url } = await serveFiles(t, media, { ranges: false, password: 'secret' });
  const web = await rackboot('image', 'import', url.replace('//', '//me:secret@'), '--name', 'web');
  t.is(web.status, 0, web.err);
  t.false(web.err.includes('secret'));
  const { tree } = (await json('image', 'show', 'web')) as { tree: { path: string }[] };
  const paths = tree.map(({ path }) => path);
  for (const path of ['AppStream/Packages/b.rpm', 'AppStream/repodata/primary.xml.gz', 'images/install.img'])
    t.true(paths.includes(path), path);
  t.false(JSON.stringify(await json('image', 'history', 'web')).includes('secret'));
});

test('an ISO on a web server comes in as the file does', async (t) => {
  const { rackboot, json, dir } = await newSite(t);
  const parent = dirname(dir);
  await writeXcpNg(join(parent, 'xcp'));
  makeXcpNgIso(join(parent, 'xcp'), join(parent, 'vendor.iso'));
  await writeEl(join(parent, 'el'));
  makeElIso(join(parent, 'el'), join(parent, 'el.iso'));
  const { url } = await serveFiles(t, parent);
  for (const name of ['vendor', 'el']) {
    const web = await rackboot('image', 'import', `${url}/${name}.iso`, '--name', `${name}-web`);
    t.is(web.status, 0, web.err);
    t.is((await rackboot('image', 'import', `file://${parent}/${name}.iso`, '--name', name)).status, 0);
    t.is(await generationOf(json, `${name}-web`), await generationOf(json, name));
  }
});

test('what a server has wrong is refused in one line', async (t) => {
  const { rackboot, dir } = await newSite(t);
  const media = join(dirname(dir), 'media');
  await writeXcpNg(media);
  await writeRepodata(media, PACKAGES);
  await writeFile(join(media, 'x.iso'), 'no ISO '.repeat(10_000));
  const [good, any, noRanges] = [
    await serveFiles(t, media),
    await serveFiles(t, media, { any: true }),
    await serveFiles(t, media, { ranges: false }),
  ];
  const damaged = Buffer.from(await readFile(join(media, PACKAGES[0]!)));
  damaged[7]! ^= 1;
  good.instead.set(`/${PACKAGES[0]!}`, damaged);
  const table: readonly (readonly [string, RegExp])[] = [
    [good.url, /a package\+1\.0-1\.x86_64\.rpm: its SHA-256 is not the one that the repository lists/],
    [`${good.url}/Packages`, /no file of an installer there/],
    [`${good.url}/nope.iso`, /no such ISO on the server/],
    [`${good.url}/x.iso`, /x\.iso: /],
    [any.url, /the server has an answer for any name/],
    [`${noRanges.url}/x.iso`, /the server sends no parts of files/],
    ['http://127.0.0.1:1', /ECONNREFUSED/],
    ['http://', /no URL/],
  ];
  for (const [source, message] of table) {
    const { status, err } = await rackboot('image', 'import', source, '--name', 'bad');
    t.is(status, 1, source);
    t.regex(err, message);
    t.is(err.split('\n').filter((line) => line.startsWith('rackboot: ')).length, 1, err);
  }
});

test('a supplemental pack comes in as a tree that boots nothing', async (t) => {
  const { rackboot, json, dir } = await newSite(t);
  const pack = join(dirname(dir), 'pack');
  await writeDriverDisk(pack);
  const { url } = await serveFiles(t, pack);
  for (const [name, source] of [
    ['dir', pack],
    ['web', url],
  ] as const) {
    const { status, err } = await rackboot('image', 'import', source, '--name', name);
    t.is(status, 0, err);
    t.regex(err, /a supplemental pack, e1000e: it boots nothing/);
    const shown = (await json('image', 'show', name)) as { family: string; boot: unknown[]; tree: unknown[] };
    t.deepEqual([shown.family, shown.boot.length, shown.tree.length], ['xcp-ng', 0, 4]);
  }
  t.is(await generationOf(json, 'dir'), await generationOf(json, 'web'));
  await rackboot('node', 'add', 'n1', '--mac', '52:54:00:00:00:01');
  t.regex((await rackboot('nodeset', 'n1', 'osimage=dir')).err, /nothing to boot/);
});
