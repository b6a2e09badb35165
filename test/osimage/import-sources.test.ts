import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newSite } from '../cli/in-process.js';
import { item, itemBytes } from '../image/newc.js';

const ARCHIVE = Buffer.concat(
  [
    item({ name: 'etc', mode: 0o40755 }),
    item({ name: 'etc/motd', data: Buffer.from('hello\n') }),
    item({ name: 'TRAILER!!!', mode: 0 }),
  ].map(itemBytes),
);

/** A site, and media beside it: initrd and kernel as files, in a directory, and on an ISO with two kernels. */
async function withMedia(
  t: ExecutionContext,
): Promise<Awaited<ReturnType<typeof newSite>> & { local: string }> {
  const site = await newSite(t);
  const local = path.join(path.dirname(site.dir), 'media');
  await mkdir(path.join(local, 'dir'), { recursive: true });
  await mkdir(path.join(local, 'iso/more'), { recursive: true });
  await writeFile(path.join(local, 'root.img'), ARCHIVE);
  await writeFile(path.join(local, 'my-kernel'), 'a kernel');
  for (const directory of ['dir', 'iso']) {
    await writeFile(path.join(local, directory, 'initrd.img'), ARCHIVE);
    await writeFile(path.join(local, directory, 'vmlinuz'), 'a kernel');
    await writeFile(path.join(local, directory, 'README'), 'read me');
  }
  await writeFile(path.join(local, 'iso/more/vmlinuz-rescue'), 'another kernel');
  execFileSync(
    'xorriso',
    ['-as', 'mkisofs', '-quiet', '-R', '-o', path.join(local, 'media.iso'), path.join(local, 'iso')],
    { stdio: 'ignore' },
  );
  return { ...site, local };
}

test('an archive alone is imported, looked into and changed, and boots nothing', async (t) => {
  const { rackboot, json, local } = await withMedia(t);
  t.is((await rackboot('image', 'import', path.join(local, 'root.img'), '--name', 'alone')).status, 0);
  t.is((await rackboot('image', 'cat', 'alone', '/etc/motd')).out, 'hello\n');
  t.is((await rackboot('image', 'put', 'alone', `${path.join(local, 'my-kernel')}:/etc/new`)).status, 0);
  t.is((await rackboot('image', 'cat', 'alone', '/etc/new')).out, 'a kernel');
  t.is(((await json('image', 'history', 'alone')) as unknown[]).length, 2);
  await rackboot('node', 'add', 'n1', '--mac', '52:54:00:00:00:01');
  for (const words of [
    ['nodeset', 'n1', 'osimage=alone'],
    ['image', 'iso', 'alone', '-o', path.join(local, 'alone.iso')],
  ]) {
    const { status, err } = await rackboot(...words);
    t.is(status, 1);
    t.regex(err, /osimage alone has nothing to boot; import its kernel with it/);
  }
});

test('an archive with a kernel beside it boots', async (t) => {
  const { rackboot, local } = await withMedia(t);
  const source = path.join(local, 'root.img');
  const kernel = path.join(local, 'my-kernel');
  t.is((await rackboot('image', 'import', source, '--name', 'both', '--kernel', kernel)).status, 0);
  t.regex((await rackboot('image', 'show', 'both')).out, /boot: my-kernel \+ root\.img/);
});

test('an ISO is imported as the directory with the same files is', async (t) => {
  const { rackboot, json, local } = await withMedia(t);
  const media = ['--kernel', 'vmlinuz', '--initrd', '/initrd.img'];
  for (const [name, source] of [
    ['disc', path.join(local, 'media.iso')],
    ['tree', path.join(local, 'iso')],
  ] as const)
    t.is((await rackboot('image', 'import', source, '--name', name, ...media)).status, 0);
  const generation = async (name: string): Promise<unknown> =>
    ((await json('image', 'history', name)) as { id: string }[])[0]!.id;
  t.is(await generation('disc'), await generation('tree'));
});

test('the changed image comes back from its own ISO', async (t) => {
  const { rackboot, local } = await withMedia(t);
  const iso = path.join(local, 'out.iso');
  await rackboot('image', 'import', path.join(local, 'dir'), '--name', 'one');
  await rackboot('image', 'put', 'one', `${path.join(local, 'my-kernel')}:/etc/new`);
  t.is((await rackboot('image', 'iso', 'one', '-o', iso)).status, 0);
  const { status, err } = await rackboot('image', 'import', iso, '--name', 'two');
  t.is(status, 0, err);
  t.regex(err, /files that boot it as an ISO are left out/);
  t.is((await rackboot('image', 'cat', 'two', '/etc/new')).out, 'a kernel');
  const again = path.join(local, 'again.iso');
  const made = await rackboot('image', 'iso', 'two', '-o', again);
  t.is(made.status, 0, made.err);
  const verified = await rackboot('image', 'verify', 'two', '--iso', again);
  t.is(verified.status, 0, verified.err);
});

test('a package of a kernel is none, as is one of an initrd', async (t) => {
  const { rackboot, local } = await withMedia(t);
  const dir = path.join(local, 'packages-beside');
  await cp(path.join(local, 'dir'), dir, { recursive: true });
  await mkdir(path.join(dir, 'Packages'));
  for (const name of ['kernel-6.1.0+1-1.noarch.rpm', 'linux-6.1.deb', 'initramfs-tools_1.deb'])
    await writeFile(path.join(dir, 'Packages', name), 'a package\n');
  const { status, err } = await rackboot('image', 'import', dir, '--name', 'beside');
  t.is(status, 0, err);
});

const refused: readonly [string, readonly string[], RegExp][] = [
  [
    'two kernels',
    ['media.iso'],
    /one kernel \(found: more\/vmlinuz-rescue, vmlinuz\).*name them with --kernel/,
  ],
  ['a kernel that is not there', ['media.iso', '--kernel', 'nope'], /one kernel \(found: none\)/],
  ['an initrd for an archive alone', ['root.img', '--initrd', 'root.img'], /leave --family and --initrd out/],
  [
    'a family for an archive alone',
    ['root.img', '--family', 'debian-installer'],
    /leave --family and --initrd out/,
  ],
  [
    'a kernel file that is missing',
    ['root.img', '--kernel', '/nope/vmlinuz'],
    /\/nope\/vmlinuz: no such file/,
  ],
  [
    'a directory as a kernel',
    ['root.img', '--kernel', '/etc'],
    /\/etc: not a regular file; name the kernel's file/,
  ],
  ['a device', ['/dev/null'], /\/dev\/null: neither a directory nor a regular file/],
  ['a cut ISO', ['cut.iso'], /cut\.iso: /],
];

for (const [what, [source = '', ...options], says] of refused) {
  test(`refused in one line: ${what}`, async (t) => {
    const { rackboot, local } = await withMedia(t);
    const whole = await readFile(path.join(local, 'media.iso'));
    await writeFile(path.join(local, 'cut.iso'), whole.subarray(0, 40 * 1024));
    const { status, out, err } = await rackboot(
      ...['image', 'import', path.resolve(local, source), '--name', 'it', ...options],
    );
    t.is(status, 1);
    t.is(out, '');
    t.regex(err, says);
    t.is(err.trim().split('\n').length, 1);
  });
}
