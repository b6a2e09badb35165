import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { OsimageError } from '../../../src/osimage/errors.js';
import { gzippedTar } from '../../../src/osimage/export/tar-members.js';
import { runCommand, runSucceeding, type Outcome } from '../../cli/in-process.js';
import { archive, changes, editsOf } from '../../image/archive-models.js';
import { FileTree } from '../../image/file-tree.js';
import { archiveBytes } from '../../image/newc.js';
import { output } from '../../image/programs.js';
import { bundleFiles, STATELESS, writeBundle } from '../bundle/xcat-bundle.js';

let work = '';
const at = (name: string): string => path.join(work, name);
const NAME = STATELESS['imagename']!;

const on =
  (site: string) =>
  (...words: string[]): Promise<Outcome> =>
    runCommand(['--site', at(site), ...words]);

const succeed = (site: string, ...words: string[]): Promise<string> =>
  runSucceeding(['--site', at(site), ...words]);

/** What a generation is, but for when it was made and how it is called. */
async function shown(site: string, name: string): Promise<Record<string, unknown>> {
  const all = JSON.parse(await succeed(site, '--json', 'image', 'show', name)) as Record<string, unknown>;
  const { createdAt: _made, note: _note, number: _number, parent: _parent, osimage: _name, ...rest } = all;
  return rest;
}

const EPOCH = '1700000000';

test.before(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'rackboot-export-'));
  for (const site of ['one', 'two']) await succeed(site, 'init');
  await succeed('one', 'image', 'import', await writeBundle(at('b.tgz'), await bundleFiles(work)));
});
test.after.always(() => rm(work, { recursive: true, force: true }));

const READ = `
import sys, tarfile, hashlib, json
out = {}
with tarfile.open(sys.argv[1], 'r:gz') as t:
    for m in t:
        assert m.uid == 0 and m.gid == 0 and m.mtime == int(sys.argv[2]), m
        out[m.name + ('/' if m.isdir() else '')] = hashlib.sha256(t.extractfile(m).read()).hexdigest() if m.isfile() else oct(m.mode)
print(json.dumps(out))`;

/** The members of a bundle as Python's tarfile reads them. */
async function members(file: string, epoch = EPOCH): Promise<Record<string, string>> {
  return JSON.parse((await output('python3', ['-c', READ, file, epoch])).toString()) as Record<
    string,
    string
  >;
}

/** Runs with SOURCE_DATE_EPOCH set. */
async function atEpoch<T>(body: () => Promise<T>): Promise<T> {
  process.env['SOURCE_DATE_EPOCH'] = EPOCH;
  try {
    return await body();
  } finally {
    delete process.env['SOURCE_DATE_EPOCH'];
  }
}

test.serial(
  'a stateless image comes out as xCAT’s bundle and goes into another site as it was',
  async (t) => {
    const [first, again, third] = [at('first.tgz'), at('again.tgz'), at('third.tgz')];
    await atEpoch(() => succeed('one', 'image', 'export', NAME, '-o', first));
    await atEpoch(() => succeed('one', 'image', 'export', NAME, '-o', again));
    t.true((await readFile(first)).equals(await readFile(again)), 'the same bytes twice');
    t.deepEqual(await shown('two', await importInto('two', first)), await shown('one', NAME));
    await atEpoch(() => succeed('two', 'image', 'export', NAME, '-o', third));
    t.true((await readFile(first)).equals(await readFile(third)), 'the same bytes from the other site');

    const found = await members(first);
    const files = (await shown('one', NAME))['files'] as { path: string; sha256: string }[];
    t.deepEqual(
      Object.keys(found),
      [
        './',
        `./${NAME}/`,
        ...['manifest.xml', 'rackboot.json', 'kernel', 'initrd-stateless.gz', 'rootimg.cpio.gz'].map(inside),
        ...['c.pkglist', 'compute.rocky9.x86_64.exlist', 's.synclist'].map(inside),
      ].map((name) => name.replace(/^\.\/$/, './')),
    );
    for (const { path: file, sha256 } of files) t.is(found[inside(file)], sha256);
  },
);

const inside = (file: string): string => `./${NAME}/${file}`;

async function importInto(site: string, file: string, ...words: string[]): Promise<string> {
  const made = JSON.parse(await succeed(site, '--json', 'image', 'import', file, ...words)) as {
    osimage: string;
  };
  return made.osimage;
}

test.serial('what xCAT does with it: unpack, read manifest.xml, move each file that it names', async (t) => {
  const to = at('unpacked');
  await mkdir(to);
  await output('tar', ['-C', to, '-zxf', at('first.tgz')]);
  t.deepEqual(await readdir(to), [NAME]);
  const read = `
import sys, json, os, xml.etree.ElementTree as E
d = sys.argv[1]
r = E.parse(d + '/manifest.xml').getroot()
for field in ['imagename', 'provmethod', 'profile', 'osvers', 'osarch']:
    assert r.find('osimage/' + field).text, field
for field in ['kernel', 'ramdisk', 'rootimg']:
    assert os.path.exists(d + '/' + os.path.basename(r.find(field).text)), field
for table in ['osimage', 'linuximage']:
    for name in ['pkglist', 'exlist', 'synclists']:
        e = r.find(table + '/' + name)
        if e is not None:
            for f in e.text.split(','): assert os.path.exists(d + '/' + os.path.basename(f)), f
print(json.dumps({c.tag: c.text for t in ['osimage', 'linuximage'] for c in r.find(t)}))`;
  const rows = JSON.parse((await output('python3', ['-c', read, path.join(to, NAME)])).toString()) as unknown;
  t.deepEqual(rows, STATELESS);
  t.is(await readFile(path.join(to, NAME, 'c.pkglist'), 'utf8'), 'bash\n');
});

test.serial('edited, it comes out with the edits, and is the same bytes again', async (t) => {
  await writeFile(at('new'), 'new\n');
  await succeed('one', 'image', 'put', NAME, `${at('new')}:/etc/new`, `${at('new')}:/etc/motd`);
  const { err } = await on('one')('image', 'export', NAME, '-o', at('edited.tgz'));
  t.regex(err, /a generation of its own/);
  await importInto('two', at('edited.tgz'), '--name', 'edited');
  const [one, two] = [await shown('one', NAME), await shown('two', 'edited')];
  t.deepEqual(two['files'], one['files']);
  t.deepEqual(two['boot'], one['boot']);
  t.not(two['generation'], one['generation']);
  t.is(await succeed('two', 'image', 'cat', 'edited', '/etc/motd'), 'new\n');
  await succeed('two', 'image', 'delete', 'edited', '/etc/new');
});

test.serial(
  '--extra takes files and directories along, and --force is wanted for a file that is there',
  async (t) => {
    await mkdir(at('some/deep'), { recursive: true });
    await writeFile(at('some/deep/file'), 'deep\n');
    await writeFile(at('notes.txt'), 'notes\n');
    const out = at('extra.tgz');
    const words = ['--extra', `${at('notes.txt')}:/install/foo`, '--extra', at('some')];
    await atEpoch(() => succeed('one', 'image', 'export', `${NAME}@1`, '-o', out, ...words));
    const found = Object.keys(await members(out));
    t.true(found.includes(inside('extra/notes.txt')));
    t.true(found.includes(inside(`extra${at('some')}/deep/file`)));
    const xml = (await output('tar', ['xzOf', out, inside('manifest.xml')])).toString();
    t.true(xml.includes(`<dest>/install/foo</dest>\n    <src>${at('notes.txt')}</src>`));
    const refused = await on('one')('image', 'export', NAME, '-o', out);
    t.is(refused.status, 1);
    t.regex(refused.err, /extra\.tgz: exists already; .*--force/);
    // What came along stays along.
    await importInto('two', out, '--name', 'extras');
    await atEpoch(() => succeed('two', 'image', 'export', 'extras', '-o', out, '--force'));
    const again = Object.keys(await members(out)).map((name) => name.replace('extras', NAME));
    t.deepEqual(again.sort(), found.sort());
    for (const [wrong, says] of [
      [['--extra', '/dev/null'], /null: is neither a file nor a directory/],
      [['--extra', at('none')], /none: cannot be read \(ENOENT\)/],
      [['--extra', at('notes.txt'), '--extra', at('notes.txt')], /would stand in the bundle twice/],
      [['--postscripts', 'nobody'], /no node nobody/],
    ] as const) {
      const { status, err } = await on('one')('image', 'export', NAME, '-o', at('wrong.tgz'), ...wrong);
      t.is(status, 1);
      t.regex(err, says);
    }
    t.false(
      (await readdir(work)).some((name) => name.includes('wrong.tgz')),
      'nothing is left behind',
    );
  },
);

test.serial('scripts stay programs, as genimage and their users want them', async (t) => {
  const [script, extra] = [at('post.sh'), at('tools')];
  await writeFile(script, '#!/bin/sh\n', { mode: 0o700 });
  await mkdir(extra);
  await writeFile(path.join(extra, 'run'), '#!/bin/sh\n', { mode: 0o755 });
  await writeFile(path.join(extra, 'readme'), 'read\n', { mode: 0o600 });
  const bundle = at('scripts.tgz');
  await importInto('one', await writeBundle(at('s.tgz'), await bundleFiles(work)), '--name', 'scripts');
  const [linked, linkedNote] = [at('linked.sh'), at('linked.txt')];
  await symlink(script, linked);
  await symlink(path.join(extra, 'readme'), linkedNote);
  await succeed('one', 'image', 'set', 'scripts', `postinstall=${script} --fast,${linked}`);
  const extras = ['--extra', extra, '--extra', linkedNote];
  await succeed('one', 'image', 'export', 'scripts', '-o', bundle, ...extras);
  const modes = async (): Promise<unknown> => {
    const lines = (await output('tar', ['tvzf', bundle])).toString().trim().split('\n');
    return Object.fromEntries(
      lines.flatMap((line) => {
        const [mode = ''] = line.split(' ');
        return mode.startsWith('-') ? [[path.posix.basename(line), mode]] : [];
      }),
    );
  };
  const wanted = {
    'post.sh': '-rwxr-xr-x',
    'linked.sh': '-rwxr-xr-x',
    run: '-rwxr-xr-x',
    readme: '-rw-r--r--',
    kernel: '-rw-r--r--',
  };
  t.like(await modes(), { ...wanted, 'linked.txt': '-rw-r--r--' });
  await importInto('two', bundle);
  await succeed('two', 'image', 'export', 'scripts', '-o', bundle, '--force');
  t.like(await modes(), { 'post.sh': '-rwxr-xr-x' }, 'of an osimage that came by a bundle, too');
});

test.serial('an --extra that is a rootimgdir goes along as it is; one that grows is told', async (t) => {
  const extra = at('rootimgdir');
  await mkdir(path.join(extra, 'rootimg/etc'), { recursive: true });
  await writeFile(path.join(extra, 'rootimg/etc/motd'), 'hello\n');
  for (const name of ['kernel', 'initrd-stateless.gz']) await writeFile(path.join(extra, name), name);
  const bundle = at('whole.tgz');
  await atEpoch(() => succeed('one', 'image', 'export', NAME, '-o', bundle, '--extra', extra));
  const found = Object.keys(await members(bundle));
  t.true(found.includes(inside(`extra${extra}/rootimg/etc/motd`)));
  t.false(found.includes(inside(`extra${extra}/rootimg`)));
  const grown = { path: './n/log', mode: 0o644, size: 1, read: () => [Buffer.from('more')] };
  const error = await t.throwsAsync(drained(gzippedTar([grown], 0)), { instanceOf: OsimageError });
  t.is(
    error.message,
    './n/log: changed while it was read (4 bytes, 1 before); export it again when it rests',
  );
});

async function drained(bytes: AsyncIterable<Buffer>): Promise<number> {
  let size = 0;
  for await (const chunk of bytes) size += chunk.length;
  return size;
}

test.serial('an image that xCAT could not place is told what to set', async (t) => {
  const files = await bundleFiles(work);
  await mkdir(at('bare'));
  for (const name of ['kernel', 'initrd-stateless.gz', 'rootimg.cpio.gz'])
    await writeFile(path.join(at('bare'), name), files[name]!);
  await succeed('one', 'image', 'import', at('bare'), '--name', 'bare');
  const { status, err } = await on('one')('image', 'export', 'bare', '-o', at('bare.tgz'));
  t.is(status, 1);
  t.regex(err, /bare: osvers, osarch, profile not set.*rackboot image set bare osvers=… osarch=… profile=…/);
  await succeed('one', 'image', 'set', 'bare', 'osvers=rocky9.4', 'osarch=x86_64', 'profile=bare');
  await succeed('one', 'image', 'export', 'bare', '-o', at('bare.tgz'));
  await importInto('two', at('bare.tgz'));
  t.deepEqual(await shown('two', 'bare'), await shown('one', 'bare'));
  // Lists of this machine go along; two of one name cannot.
  await writeFile(at('my.exlist'), './usr/share/doc*\n');
  await succeed('one', 'image', 'set', 'bare', `exlist=${at('my.exlist')}`, 'pkglist=/nowhere/x.pkglist');
  const listed = await on('one')('image', 'export', 'bare', '-o', at('bare.tgz'), '--force');
  t.is(listed.status, 0, listed.err);
  t.regex(listed.err, /pkglist: \/nowhere\/x\.pkglist: no such file here; left out/);
  t.is((await output('tar', ['xzOf', at('bare.tgz'), './bare/my.exlist'])).toString(), './usr/share/doc*\n');
  await succeed('one', 'image', 'set', 'bare', 'otherpkglist=/other/my.exlist');
  t.regex((await on('one')('image', 'export', 'bare', '-o', at('bare.tgz'), '--force')).err, /have one name/);
});

test.serial('any archive and any edits of it come back byte for byte, with the boot entries', async (t) => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(archive, changes, fc.boolean(), async (items, wishes, edited) => {
      const name = `p${++run}`;
      const file = at(`${name}.img`);
      await writeFile(file, zlib.gzipSync(archiveBytes(items), { level: 1 }));
      await writeFile(at('vmlinuz'), 'kernel');
      await succeed('one', 'image', 'import', file, '--name', name, '--kernel', at('vmlinuz'));
      if (edited) {
        const edits = await editsOf(wishes, FileTree.unpack(items));
        const paths = edits.flatMap((edit) => (edit.op === 'put' ? [edit.path] : []));
        for (const to of paths.slice(0, 2))
          await succeed(
            'one',
            'image',
            'put',
            name,
            `${at('vmlinuz')}:/${Buffer.from(to, 'latin1').toString()}x`,
          );
      }
      const out = at(`${name}.tgz`);
      await succeed('one', 'image', 'export', name, '-o', out);
      await importInto('two', out);
      const [one, two] = [await shown('one', name), await shown('two', name)];
      for (const key of ['files', 'tree', 'boot', 'family']) t.deepEqual(two[key], one[key], key);
      if (!edited) t.deepEqual(two, one);
      await rm(out);
      await rm(file);
    }),
    { numRuns: 12, seed: 2 },
  );
});

const cpio = 'find . | sort | cpio -o -H newc --quiet';
const FORMATS: Readonly<Record<string, string>> = {
  'plain.cpio': `${cpio} > "$1"`,
  'r.cpio.bz2': `${cpio} | bzip2 > "$1"`,
  'r.cpio.xz': `${cpio} | xz --check=crc32 > "$1"`,
  'r.cpio.zst': `${cpio} | zstd -q > "$1"`,
  'r.tar.gz': 'tar -czf "$1" .',
  'r.tar.xz': 'tar -cJf "$1" .',
  'r.sfs': 'mksquashfs . "$1" -quiet -no-progress',
  'early.img': `(echo etc | cpio -o -H newc --quiet; ${cpio} | gzip -n) > "$1"`,
  'two.gz': `(${cpio} | gzip -n; echo etc/motd | cpio -o -H newc --quiet | gzip -n) > "$1"`,
};

/** The programs that these are compressed with afterwards, all at once. */
const PACKED: Readonly<Record<string, readonly string[]>> = {
  'plain.cpio': ['gzip', 'pigz', 'bzip2', 'xz'],
  'r.tar.xz': ['gzip'],
};

for (const [file, script] of Object.entries(FORMATS)) {
  test.serial(`${file}: imported, changed, packed whole: the same bytes in the other site`, async (t) => {
    const root = at(`root-${file}`);
    await mkdir(path.join(root, 'etc'), { recursive: true });
    await writeFile(path.join(root, 'etc/motd'), 'before\n');
    await writeFile(
      path.join(root, 'etc/big'),
      createHash('sha256').update(file).digest('hex').repeat(40_000),
    );
    await output('bash', ['-ec', script, 'bash', at(file)], undefined, root);
    const name = file.replaceAll('.', '-');
    await succeed('one', 'image', 'import', at(file), '--name', name);
    const check = async (what: string): Promise<void> => {
      await succeed('one', 'image', 'export', name, '-o', at('format.tgz'), '--force');
      const { status, err } = await on('two')(
        'image',
        'import',
        at('format.tgz'),
        '--name',
        `${name}-${what}`,
      );
      t.is(status, 0, err);
      t.notRegex(err, /compressed anew/, what);
      t.deepEqual(
        (await shown('two', `${name}-${what}`))['files'],
        (await shown('one', name))['files'],
        what,
      );
    };
    await check('imported');
    await succeed('one', 'image', 'put', name, `${at('new')}:/etc/motd`);
    await check('changed');
    await succeed('two', 'image', 'put', `${name}-changed`, `${at('new')}:/etc/again`);
    t.is(await succeed('two', 'image', 'cat', `${name}-changed`, '/etc/again'), 'new\n');
    for (const compress of PACKED[file] ?? []) {
      const tree = at(`tree-${file}-${compress}`);
      await succeed('one', 'image', 'unpack', name, tree);
      await succeed('one', 'image', 'pack', name, tree, '--compress', compress);
      await check(compress);
    }
  });
}

test.serial('an installer with layers, settings and an answer file keeps them all', async (t) => {
  const media = at('media');
  await mkdir(path.join(media, 'debian-installer/amd64/deep'), { recursive: true });
  const files = await bundleFiles(work);
  await writeFile(path.join(media, 'debian-installer/amd64/linux'), 'linux');
  await writeFile(path.join(media, 'debian-installer/amd64/initrd.gz'), files['rootimg.cpio.gz']!);
  await writeFile(path.join(media, 'debian-installer/amd64/deep', `${'long '.repeat(30)}name`), 'tree');
  await writeFile(path.join(media, 'empty'), '');
  await succeed('one', 'image', 'import', media, '--name', 'd12');
  await succeed('one', 'image', 'export', 'd12', '-o', at('d12.tgz'));
  await importInto('two', at('d12.tgz'));
  t.deepEqual(await shown('two', 'd12'), await shown('one', 'd12'), 'the same generation');
  t.is((await stat(at('d12.tgz'))).mode & 0o777, 0o666 & ~process.umask());

  const layer = path.join(at('one'), 'layers/mine');
  await mkdir(path.join(layer, 'overlay/etc'), { recursive: true });
  await writeFile(path.join(layer, 'overlay/etc/motd'), 'of a layer\n');
  await writeFile(path.join(layer, 'bootargs'), 'quiet {{ settings.disk }}\n');
  await writeFile(path.join(layer, 'answerfile.liquid'), 'd-i host {{ node.name }} {{ settings.disk }}\n');
  await succeed('one', 'image', 'build', 'd12', '--layers', 'mine', '--set', 'disk=sda');
  await atEpoch(() => succeed('one', 'image', 'export', 'd12', '-o', at('d12-2.tgz')));
  t.is((await stat(at('d12-2.tgz'))).mode & 0o777, 0o600, 'answer files and settings are nobody else’s');
  t.true('answerfile.liquid' in (await members(at('d12-2.tgz'))));
  await importInto('two', at('d12-2.tgz'), '--name', 'd12b');
  const [one, two] = [await shown('one', 'd12'), await shown('two', 'd12b')];
  for (const key of ['files', 'tree', 'boot', 'family', 'settings']) t.deepEqual(two[key], one[key], key);
  t.truthy(two['answer'] ?? two['answerFile'] ?? two['answerfile'], JSON.stringify(Object.keys(two)));
  await succeed('two', 'image', 'put', 'd12b', `${at('new')}:/etc/new`);
  t.regex(await succeed('two', 'image', 'show', 'd12b'), /answer file +mine\/answerfile\.liquid/);
  t.is(await succeed('two', 'image', 'cat', 'd12b', '/etc/motd'), 'of a layer\n');
  // From there it is what it is.
  await succeed('two', 'image', 'rollback', 'd12b', '1');
  await succeed('two', 'image', 'export', 'd12b', '-o', at('d12-3.tgz'));
  await importInto('one', at('d12-3.tgz'));
  t.deepEqual(await shown('one', 'd12b'), await shown('two', 'd12b'));
  t.regex(
    (await on('one')('image', 'export', 'd12', '--extra', at('new'), '-o', at('no.tgz'))).err,
    /only bundles of xCAT’s/,
  );
});

test.serial('a bundle whose files were changed is refused', async (t) => {
  const dir = at('changing');
  await mkdir(dir);
  await output('tar', ['-C', dir, '-zxf', at('d12.tgz')]);
  const pack = async (what: string): Promise<Outcome> => {
    const file = at(`${what}.tgz`);
    const names = ['manifest.json', ...(await readdir(dir)).filter((name) => name !== 'manifest.json')];
    await output('tar', ['-C', dir, '-czf', file, ...names]);
    return on('two')('image', 'import', file, '--name', what);
  };
  const manifest = await readFile(path.join(dir, 'manifest.json'), 'utf8');
  const refused = async (what: string, says: RegExp): Promise<void> => {
    const { status, err } = await pack(what);
    t.is(status, 1, what);
    t.regex(err, says);
    t.not((await on('two')('image', 'show', what)).status, 0);
  };
  await writeFile(path.join(dir, 'files/linux'), 'LINUX');
  await refused('content', /linux is not the file that the bundle lists \(SHA-256 /);
  await writeFile(path.join(dir, 'files/linux'), 'longer');
  await refused('size', /files\/linux: 6 bytes, where the bundle says 5/);
  await rm(path.join(dir, 'files/linux'));
  await refused('gone', /files\/linux is named in it and missing/);
  await writeFile(path.join(dir, 'files/linux'), 'linux');
  for (const [what, text, says] of [
    ['later', manifest.replace('"rackboot":1', '"rackboot":2'), /a newer rackboot wrote it, upgrade/],
    ['json', manifest.slice(1), /is no JSON/],
    [
      'climbing',
      manifest.replace('"files/', '"').replaceAll('"path":"linux"', '"path":"../linux"'),
      /no path below the bundle/,
    ],
    ['family', manifest.replace('debian-installer","files', 'amiga","files'), /family/],
    ['more', manifest.replace('{', '{"x":1,'), /x/],
    [
      'boots',
      manifest.replace('"kernel":"linux"', '"kernel":"vmlinux"'),
      /files\/vmlinux is named in it and missing/,
    ],
    [
      'cuts',
      manifest.replace(/"cuts":\[\[\[(\d+),/, (_all, first: string) => `"cuts":[[[${Number(first) + 1},`),
      /not cut as it is said/,
    ],
  ] as const) {
    t.not(text, manifest, what);
    await writeFile(path.join(dir, 'manifest.json'), text);
    await refused(what, says);
  }
  await writeFile(path.join(dir, 'manifest.json'), manifest);
  t.is((await pack('unchanged')).status, 0);
});

test('the bytes do not depend on how the store gives them', async (t) => {
  const bytes = Buffer.from('some text that compresses, '.repeat(40_000));
  const digest = async (chunk: number): Promise<string> => {
    const pieces = (): Buffer[] =>
      Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, n) =>
        bytes.subarray(n * chunk, (n + 1) * chunk),
      );
    const hash = createHash('sha256');
    const member = { path: 'a', mode: 0o644, size: bytes.length, read: pieces };
    for await (const part of gzippedTar([member, { ...member, path: 'b'.repeat(300) }], 1)) hash.update(part);
    return hash.digest('hex');
  };
  const whole = await digest(bytes.length);
  for (const chunk of [1000, 4096, 65_537, 262_144]) t.is(await digest(chunk), whole, String(chunk));
});
