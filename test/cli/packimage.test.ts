import { cp, lstat, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { cpioNames, inDirectory, output } from '../image/programs.js';
import { describeDisk } from '../image/file-tree.js';
import { runCommand, type Outcome } from './in-process.js';
import { served } from './served.js';

const HASH = '$6$saltsalt$0123456789abcdefghijklmnopqrstuvwxyz';

let parent = '';
let site = '';
const root = (): string => path.join(parent, 'compute/rootimg');

const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', site, ...words]);

async function succeed(...words: string[]): Promise<Outcome> {
  const outcome = await rackboot(...words);
  if (outcome.status !== 0) throw new Error(`${words.join(' ')}: ${outcome.err}`);
  return outcome;
}

/** A genimage's tree with what packing must not lose, and a time long past on all that is in it. */
async function makeRoot(to: string): Promise<void> {
  for (const name of [
    'etc/init.d',
    'usr/share/zoneinfo/Europe',
    'usr/share/doc/x',
    'usr/lib',
    '.statelite',
    'tmp',
  ])
    await mkdir(path.join(to, name), { recursive: true });
  const files = {
    'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nops:x:1:1::/:/bin/sh\n',
    'etc/shadow': 'daemon:*:1:0:9:7:::\nroot:old:1:0:9:7:::\n',
    'etc/setup': 'first\n',
    'etc/init.d/statelite': 'not shipped\n',
    'usr/share/zoneinfo/Europe/Berlin': 'TZif\n',
    'usr/share/doc/x/readme': 'readme\n',
    'usr/share/doc/kept': 'kept\n',
    'usr/lib/library': Array.from({ length: 60_000 }, (_, n) => `${n * n} `).join(''),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(to, name), text);
  await symlink('usr/lib', path.join(to, 'lib'));
  const script =
    'chmod 600 etc/shadow && chmod 1777 tmp && chown 7:8 etc/setup && ln etc/setup etc/also && find . -exec touch -h -d @1500000000 {} +';
  await output('sh', ['-c', script], undefined, to);
}

test.before(async () => {
  parent = await mkdtemp(path.join(os.tmpdir(), 'rackboot-packimage-'));
  site = path.join(parent, 'site');
  await succeed('init');
  await makeRoot(root());
  for (const name of ['kernel', 'initrd-stateless.gz'])
    await writeFile(path.join(parent, 'compute', name), name);
});
test.after.always(() => rm(parent, { recursive: true, force: true }));

/** A fresh osimage of the tree. */
async function image(name: string): Promise<string> {
  await succeed('image', 'import', path.join(parent, 'compute'), '--name', name);
  return name;
}

async function filesOf(name: string): Promise<string[]> {
  const { out } = await succeed('--json', 'image', 'show', name);
  const { files } = JSON.parse(out) as { readonly files: readonly { readonly path: string }[] };
  return files.map(({ path: at }) => at);
}

const UNPACK: Readonly<Record<string, string>> = {
  'rootimg.cpio.gz': 'gzip -cd "$1" | cpio -idum --quiet',
  'rootimg.cpio.xz': 'xz -cd "$1" | cpio -idum --quiet',
  'rootimg.tar.gz': 'tar -zxf "$1"',
  'rootimg.tar.xz': 'tar -Jxf "$1"',
  'rootimg.sfs': 'unsquashfs -q -n -f -d . "$1" >/dev/null',
};

/** What the programs of xCAT's dracut module make of a root image. */
async function unpacked(name: string, file: string): Promise<string[]> {
  return inDirectory(async (dir) => {
    await writeFile(path.join(dir, file), await served(site, name, file));
    const into = path.join(dir, 'root');
    await mkdir(into);
    await output(
      'bash',
      ['-c', `set -o pipefail; ${UNPACK[file] ?? ''}`, 'unpack', path.join(dir, file)],
      undefined,
      into,
    );
    return withoutTop(await describeDisk(into));
  });
}

/** The top directory is made by who unpacks. */
const withoutTop = (lines: readonly string[]): string[] => lines.slice(1);

/** The tree without what packimage never packs. */
async function shipped(): Promise<string[]> {
  return inDirectory(async (dir) => {
    await output('cp', ['-a', root(), path.join(dir, 'x')]);
    await rm(path.join(dir, 'x/.statelite'), { recursive: true });
    await rm(path.join(dir, 'x/etc/init.d/statelite'));
    await utimes(path.join(dir, 'x/etc/init.d'), 1_500_000_000, 1_500_000_000);
    return withoutTop(await describeDisk(path.join(dir, 'x')));
  });
}

test.serial(
  'every method and compression: the name that xCAT’s initrd looks for, and the tree again',
  async (t) => {
    t.timeout(300_000);
    const name = await image('methods');
    const wanted = await shipped();
    const steps: readonly (readonly [words: readonly string[], file: string])[] = [
      [[], 'rootimg.cpio.gz'],
      [['-m', 'cpio', '-c', 'xz'], 'rootimg.cpio.xz'],
      [['-c', 'pigz'], 'rootimg.cpio.gz'],
      [['-m', 'tar'], 'rootimg.tar.gz'],
      [['-m', 'tar', '-c', 'xz'], 'rootimg.tar.xz'],
      [['-m', 'squashfs'], 'rootimg.sfs'],
      [['--method', 'cpio', '--compress', 'gzip'], 'rootimg.cpio.gz'],
    ];
    for (const [words, file] of steps) {
      await succeed('image', 'pack', name, root(), ...words);
      t.deepEqual((await filesOf(name)).sort(), ['initrd-stateless.gz', 'kernel', file]);
      t.deepEqual(await unpacked(name, file), wanted, file);
      t.regex(
        (await succeed('--json', 'image', 'show', name)).out,
        new RegExp(`imgurl=\\{\\{ files \\}\\}/${file} `),
      );
    }
  },
);

test.serial('from xz back to gzip: compressed as well as one that never was xz', async (t) => {
  const name = await image('back');
  const before = await served(site, name, 'rootimg.cpio.gz');
  await succeed('image', 'pack', name, root(), '-c', 'xz');
  await succeed('image', 'pack', name, root(), '-c', 'gzip');
  const after = await served(site, name, 'rootimg.cpio.gz');
  t.true(after.length <= before.length * 1.02 + 100, `${after.length} of ${before.length} bytes`);
});

test.serial('a squashfs is made with the compressor that is named', async (t) => {
  const name = await image('compressors');
  for (const compressor of ['gzip', 'xz', 'zstd']) {
    await succeed('image', 'pack', name, root(), '-m', 'squashfs', '-c', compressor);
    const head = await served(site, name, 'rootimg.sfs');
    t.is(['', 'gzip', 'lzma', 'lzo', 'xz', 'lz4', 'zstd'][head.readUInt16LE(20)], compressor);
  }
});

test.serial('a form changes, files are put, layers and going back work as before', async (t) => {
  const name = await image('forms');
  await succeed('image', 'pack', name, root(), '-m', 'tar');
  await writeFile(path.join(parent, 'new'), 'new\n');
  await succeed('image', 'put', name, `${path.join(parent, 'new')}:/lib/new`);
  const found = await unpacked(name, 'rootimg.tar.gz');
  t.true(found.some((line) => line.includes('usr/lib/new')));
  t.deepEqual((await filesOf(name)).sort(), ['initrd-stateless.gz', 'kernel', 'rootimg.tar.gz']);
  await succeed('image', 'rollback', name, '1');
  t.deepEqual((await filesOf(name)).sort(), ['initrd-stateless.gz', 'kernel', 'rootimg.cpio.gz']);
  t.deepEqual(await unpacked(name, 'rootimg.cpio.gz'), await shipped());
  const tree = path.join(parent, 'of-tar');
  await succeed('image', 'unpack', `${name}@2`, tree);
  await succeed('image', 'pack', name, tree);
  t.deepEqual((await filesOf(name)).sort(), ['initrd-stateless.gz', 'kernel', 'rootimg.cpio.gz']);
});

for (const [what, words, said] of [
  ['a form that the initrd does not unpack', ['-c', 'zstd'], /unpacks gzip and xz, not zstd/],
  ['a time zone that is not in the image', ['--timezone', 'Mars/Base'], /time zone "Mars\/Base": no file/],
  ['a time zone that leads elsewhere', ['--timezone', '../../etc/passwd'], /time zone/],
  ['postscripts that are not there', ['--postscripts', '/no/scripts'], /\/no\/scripts: no directory/],
  ['an exlist that is not there', ['--exlist', '/no/exlist'], /\/no\/exlist: no such file/],
  ['a synclist that is not there', ['--synclist', '/no/synclist'], /\/no\/synclist: no such file/],
] as const) {
  test.serial(`refused, and nothing is published: ${what}`, async (t) => {
    const name = `refused-${said.source.length}-${words.length}-${words[1].replace(/\W/g, '')}`;
    await image(name);
    const { status, err } = await rackboot('image', 'pack', name, root(), ...words);
    t.is(status, 1);
    t.regex(err, said);
    t.is(
      err
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('rackboot: ')).length,
      1,
    );
    t.is((JSON.parse((await succeed('--json', 'image', 'history', name)).out) as unknown[]).length, 1);
  });
}

test.serial(
  'a password as it is typed is refused and not shown; --method is for stateless images',
  async (t) => {
    const name = await image('hashes');
    const file = path.join(parent, 'typed');
    await writeFile(file, 'correcthorse\n');
    const typed = await rackboot('image', 'pack', name, root(), '--root-password-hash-file', file);
    t.is(typed.status, 1);
    t.regex(typed.err, /holds no password hash/);
    t.notRegex(typed.err, /correcthorse/);
    await mkdir(path.join(parent, 'generic'));
    await writeFile(path.join(parent, 'generic/vmlinuz'), 'kernel');
    const packed = await served(site, name, 'rootimg.cpio.gz');
    await writeFile(path.join(parent, 'generic/initrd.gz'), packed);
    await succeed('image', 'import', path.join(parent, 'generic'), '--name', 'generic');
    const other = await rackboot('image', 'pack', 'generic', root(), '-m', 'tar');
    t.is(other.status, 1);
    t.regex(other.err, /--method tar is for stateless images/);
  },
);

/** Everything of the tree that packing could change, times of change included. */
async function untouched(t: ExecutionContext, body: () => Promise<void>): Promise<void> {
  const look = async (): Promise<Buffer> =>
    output('find', ['.', '-printf', '%p %i %C@ %T@ %m\\n'], undefined, root());
  const before = await look();
  await body();
  t.is((await look()).toString(), before.toString(), 'the directory was touched');
}

test.serial('a directory that is no root file system is not packed', async (t) => {
  const name = await image('elsewhere');
  const empty = path.join(parent, 'empty');
  await mkdir(empty);
  for (const [directory, says] of [
    [path.join(parent, 'compute'), /compute: is no root file system, .* pack that: \S+\/compute\/rootimg\n/],
    [empty, /empty: is empty, and no node could boot/],
  ] as const) {
    const { status, err } = await rackboot('image', 'pack', name, directory);
    t.is(status, 1);
    t.regex(err, says);
  }
  t.is((JSON.parse((await succeed('--json', 'image', 'history', name)).out) as unknown[]).length, 1);
});

test.serial(
  'a synclist’s line is told whose file is not there, and a history what was asked for',
  async (t) => {
    const name = await image('lines');
    const list = path.join(parent, 'lines.synclist');
    for (const text of ['\n/no/such -> /etc/x\n', 'APPEND:\n/no/such -> /etc/passwd\n']) {
      await writeFile(list, text);
      const { status, err } = await rackboot('image', 'pack', name, root(), '--synclist', list);
      t.is(status, 1);
      t.regex(err, /rackboot: \S+\/lines\.synclist:2: \/no\/such: no such file/);
    }
    const words = ['--no-exlist', '--nosyncfiles', '--xcatinfo', '--timezone', 'Europe/Berlin'];
    await succeed('image', 'pack', name, root(), ...words);
    t.true((await succeed('image', 'history', name)).out.includes(`rootimg ${words.join(' ')}\n`));
  },
);

test.serial('what packimage does in the tree, done in the image alone', async (t) => {
  const name = await image('prepared');
  const scripts = path.join(parent, 'postscripts');
  await mkdir(path.join(scripts, 'sub'), { recursive: true });
  await writeFile(path.join(scripts, 'xcatdsklspost'), '#!/bin/sh\n', { mode: 0o644 });
  await writeFile(path.join(scripts, 'sub/helper'), 'helper\n');
  const file = async (at: string, text: string): Promise<string> => {
    await writeFile(path.join(parent, at), text);
    return path.join(parent, at);
  };
  await mkdir(path.join(parent, 'many/deep'), { recursive: true });
  await file('many/one', 'one\n');
  await file('many/two', 'two\n');
  await file('many/deep/three', 'three\n');
  const synclist = await file(
    'compute.synclist',
    [
      `${await file('hosts', 'hosts\n')} -> /lib/hosts`,
      `${parent}/many/* -> /opt/many`,
      `${parent}/hosts -> /opt/many`,
      `${parent}/hosts -> /usr`,
      `${parent}/hosts -> (n[1-3]) /etc/some`,
      'EXECUTE:',
      '/opt/run.post',
      'APPEND:',
      `${await file('more', 'second\n')} -> /etc/setup`,
      'MERGE:',
      `${await file('users', 'ops:x:9:9::/:/bin/zsh\nnew:x:2:2::/:/bin/sh\n')} -> /etc/passwd`,
    ].join('\n'),
  );
  const exlist = await file(
    'compute.exlist',
    './usr/share/doc*\n+./usr/share/doc/kept\n./usr/share/zoneinfo*\n',
  );
  const hash = await file('hash', `${HASH}\n`);
  await untouched(t, async () => {
    const { err } = await succeed(
      ...['image', 'pack', name, root(), '--postscripts', scripts, '--xcatinfo', '--synclist', synclist],
      ...['--exlist', exlist, '--root-password-hash-file', hash, '--timezone', 'Europe/Berlin'],
    );
    t.regex(err, /compute\.synclist:5: left out, it is for some nodes/);
    t.regex(err, /\/opt\/run\.post: not run/);
    t.false(err.includes(HASH));
  });
  const text = async (at: string): Promise<string> => (await succeed('image', 'cat', name, at)).out;
  t.is(await text('/etc/shadow'), `root:${HASH}:13880:0:99999:7:::\ndaemon:*:1:0:9:7:::\n`);
  t.is(
    await text('/etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nops:x:9:9::/:/bin/zsh\nnew:x:2:2::/:/bin/sh\n',
  );
  t.is(await text('/etc/setup'), 'first\nsecond\n');
  t.is(await text('/etc/also'), 'first\n', 'another name of the file is another file now');
  t.is(await text('/usr/lib/hosts'), 'hosts\n');
  t.is(await text('/opt/many/deep/three'), 'three\n');
  t.is(await text('/opt/many/hosts'), 'hosts\n');
  t.is(await text('/usr/hosts'), 'hosts\n');
  t.is(await text('/xcatpost/sub/helper'), 'helper\n');
  t.is(await text('/etc/localtime'), 'TZif\n');
  t.regex(
    await text('/opt/xcat/xcatinfo'),
    /^IMAGENAME='prepared'\nIMAGEUUID='[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'\nTIMESTAMP='.* UTC \d{4}'\n$/,
  );
  const names = (await succeed('image', 'files', name)).out;
  t.notRegex(names, /doc\/x|etc\/some|statelite|zoneinfo\/Europe\/Paris/);
  t.regex(names, /^-rwxr-xr-x .* \/opt\/xcat\/xcatdsklspost$/m);
  t.regex(names, /^-rw-r--r-- {2}7:8 .* \/etc\/setup$/m);
  t.regex(names, /\/usr\/share\/doc\/kept$/m);
  const again = await succeed(
    ...['image', 'pack', name, root(), '--postscripts', scripts, '--xcatinfo', '--synclist', synclist],
    ...['--exlist', exlist, '--root-password-hash-file', hash, '--timezone', 'Europe/Berlin'],
  );
  t.regex(again.out, /has just these inputs already/, 'the same once more is the same image');
});

test.serial('an exlist leaves out what find leaves out', async (t) => {
  const name = await image('exlist');
  const patterns = ['./usr/share/doc*', './etc/s[a-h]*', './.statelite*', './etc/init.d/statelite'];
  const exlist = path.join(parent, 'find.exlist');
  await writeFile(exlist, patterns.map((pattern) => `${pattern}\n`).join(''));
  await succeed('image', 'set', name, `exlist=${exlist}`);
  await succeed('image', 'pack', name, root());
  const kept = await output(
    'find',
    [
      '.',
      '-xdev',
      '-mindepth',
      '1',
      ...patterns.flatMap((pattern) => ['!', '-path', pattern]),
      '-printf',
      '%P\\0',
    ],
    undefined,
    root(),
  );
  const packed = await output('gzip', ['-cd'], await served(site, name, 'rootimg.cpio.gz'));
  t.deepEqual((await cpioNames(packed)).sort(), kept.toString('latin1').split('\0').slice(0, -1).sort());
  await succeed('image', 'pack', name, root(), '--no-exlist');
  t.regex((await succeed('image', 'files', name)).out, /doc\/kept/);
});

test.serial('packed again after a change costs the change, in the tree and after image unpack', async (t) => {
  const name = await image('again');
  const tree = path.join(parent, 'again');
  await cp(root(), tree, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  for (let n = 0; n < 30; n++)
    await writeFile(path.join(tree, `usr/lib/f${n}`), Buffer.alloc(150_000, `${n} `));
  await succeed('image', 'pack', name, tree);
  const costOf = async (...words: string[]): Promise<number> =>
    (
      JSON.parse((await succeed('--json', 'image', 'pack', name, ...words)).out) as {
        compressedBytes: number;
      }
    ).compressedBytes;
  await writeFile(path.join(tree, 'usr/lib/f7'), 'changed\n');
  t.true((await costOf(tree)) < 2_500_000);
  t.is((await succeed('image', 'cat', name, '/usr/lib/f7')).out, 'changed\n');
  const out = path.join(parent, 'again-unpacked');
  await succeed('image', 'unpack', name, out);
  t.is(await costOf(out), 0);
  await writeFile(path.join(out, 'etc/hello'), 'hello\n');
  t.true((await costOf(out)) < 2_500_000);
  const now = await unpacked(name, 'rootimg.cpio.gz');
  await succeed('image', 'pack', name, out, '--reread');
  t.deepEqual(await unpacked(name, 'rootimg.cpio.gz'), now);
  t.is(
    (await lstat(path.join(out, 'usr/lib/library'))).size,
    (await readFile(path.join(out, 'usr/lib/library'))).length,
  );
});

test.serial('extended attributes and capabilities of the tree are in tar and squashfs', async (t) => {
  const name = await image('attributes');
  const tree = path.join(parent, 'attributes');
  await cp(root(), tree, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  const python = (script: string, ...args: readonly string[]): Promise<Buffer> =>
    output('python3', ['-I', '-c', `import os, sys\n${script}`, ...args]);
  await python(
    'os.setxattr(sys.argv[1], "security.capability", b"\\1\\0\\0\\2\\0\\x20" + b"\\0" * 14)\nos.setxattr(sys.argv[1], "trusted.origin", b"vendor=1")',
    path.join(tree, 'usr/lib/library'),
  );
  const steps = [
    ['tar', 'rootimg.tar.gz', 'tar --xattrs --xattrs-include="*" -xzf "$1"'],
    ['squashfs', 'rootimg.sfs', 'unsquashfs -q -n -f -d . "$1" >/dev/null'],
  ] as const;
  for (const [method, file, unpack] of steps) {
    await succeed('image', 'pack', name, tree, '-m', method);
    await inDirectory(async (dir) => {
      await writeFile(path.join(dir, file), await served(site, name, file));
      await mkdir(path.join(dir, 'root'));
      await output('bash', ['-c', unpack, 'unpack', path.join(dir, file)], undefined, path.join(dir, 'root'));
      const held = await python(
        'print([os.getxattr(sys.argv[1], name).hex() for name in ("security.capability", "trusted.origin")])',
        path.join(dir, 'root/usr/lib/library'),
      );
      t.is(
        held.toString(),
        `['010000020020${'00'.repeat(14)}', '${Buffer.from('vendor=1').toString('hex')}']\n`,
        method,
      );
    });
    const again = await succeed('image', 'pack', name, tree);
    t.regex(again.out, /has just these inputs already/);
  }
});

test.serial('a socket is in a cpio archive, and left out of the forms that have none', async (t) => {
  const name = await image('sockets');
  const tree = path.join(parent, 'sockets');
  await cp(root(), tree, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  const server = net.createServer().listen(path.join(tree, 'etc/socket'));
  await once(server, 'listening');
  try {
    await succeed('image', 'pack', name, tree);
    t.regex((await succeed('image', 'files', name)).out, /^s.* \/etc\/socket$/m);
    for (const method of ['tar', 'squashfs']) {
      const { err } = await succeed('image', 'pack', name, tree, '-m', method);
      t.regex(err, /\/etc\/socket: left out, a socket/);
      t.notRegex((await succeed('image', 'files', name)).out, /socket/);
    }
  } finally {
    server.close();
  }
});

test.serial('a tree whose file would end the archive is refused, packed and imported', async (t) => {
  const name = await image('trailer');
  const media = path.join(parent, 'trailer');
  await cp(path.join(parent, 'compute'), media, { recursive: true, verbatimSymlinks: true });
  await writeFile(path.join(media, 'rootimg/TRAILER!!!'), 'x');
  for (const words of [
    ['pack', name, path.join(media, 'rootimg')],
    ['import', media, '--name', 'trailers'],
  ]) {
    const { status, err } = await rackboot('image', ...words);
    t.is(status, 1);
    t.regex(err, /TRAILER!!!: this name ends a cpio archive/);
  }
});

test.serial('what a packing was made of outlives gc, and the next one begins with it', async (t) => {
  const name = await image('collected');
  const tree = path.join(parent, 'collected');
  await cp(root(), tree, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  await succeed('image', 'pack', name, tree, '-m', 'tar');
  await succeed('gc', '--keep', '0');
  await succeed('store', 'verify');
  await writeFile(path.join(tree, 'etc/hello'), 'hello\n');
  await succeed('image', 'pack', name, tree);
  t.true((await unpacked(name, 'rootimg.tar.gz')).some((line) => line.includes('etc/hello')));
});

test.serial('what is mounted in the tree is not packed', async (t) => {
  const name = await image('mounted');
  const tree = path.join(parent, 'mounted');
  await cp(root(), tree, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  await mkdir(path.join(tree, 'proc'));
  const program = [process.execPath, path.resolve('dist/src/cli/main.js')];
  const script = 'mount -t tmpfs none "$1/proc" && echo inside > "$1/proc/inside" && shift && exec "$@"';
  await output('unshare', [
    ...['-m', 'sh', '-c', script, 'mounted', tree, ...program],
    ...['--site', site, 'image', 'pack', name, tree],
  ]);
  const { out } = await succeed('image', 'files', name);
  t.regex(out, / \/proc$/m);
  t.notRegex(out, /inside/);
});
