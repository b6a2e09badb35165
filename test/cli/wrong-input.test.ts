import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../src/site/assets.js';
import { runCommand } from './in-process.js';
import { makeMedia } from './media.js';

/** A place of its own for one case: `site` (osimage d12 of `media`, twice changed), `media`, `file`, `empty`. */
interface Place {
  readonly dir: string;
  readonly site: string;
}

interface Case {
  readonly words: string; // blanks between; DIR stands for the place
  readonly says: RegExp | string; // all of the line behind `rackboot: `
  readonly status?: 1 | 2; // 1 when left out
  readonly before?: (place: Place) => Promise<unknown>;
  readonly out?: RegExp; // what the report on standard output holds; it is empty when left out
}

let template = '';
test.before(async (t) => {
  template = await mkdtemp(join(tmpdir(), 'rackboot-wrong-'));
  const [site, media, file] = [join(template, 'site'), join(template, 'media'), join(template, 'file')];
  await makeMedia(media, 50_000);
  await writeFile(file, 'hello\n');
  await mkdir(join(template, 'empty'));
  for (const words of [
    ['init'],
    ['image', 'import', media, '--name', 'd12'],
    ['image', 'put', 'd12', `${file}:/etc/hello`],
    ['node', 'add', 'n1', '--mac', '52:54:00:00:00:01'],
  ]) {
    const { status, err } = await runCommand(['--site', site, ...words]);
    t.is(status, 0, err);
  }
});
test.after.always(() => rm(template, { recursive: true, force: true }));

async function place(t: ExecutionContext): Promise<Place> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-wrong-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await cp(template, dir, { recursive: true });
  return { dir, site: join(dir, 'site') };
}

function check(title: string, cases: readonly Case[]): void {
  for (const [number, { words, says, status = 1, before, out }] of cases.entries()) {
    test(`${title} ${number + 1}: ${words}`, async (t) => {
      const here = await place(t);
      await before?.(here);
      const filled = words.split(' ').map((word) => word.replaceAll('DIR', here.dir));
      const site = filled[0] === '--site' ? [] : ['--site', here.site];
      const ended = await runCommand([...site, ...filled]);
      t.is(ended.status, status);
      const lines = ended.err.split('\n').filter((line) => !/^(?:verified )? *\d+ % /.test(line));
      t.is(lines.length, 2, ended.err);
      t.is(lines[1], '');
      const line = (lines[0] ?? '').replaceAll(here.dir, 'DIR').replaceAll(packageRoot(), 'ROOT');
      if (typeof says === 'string') t.is(line, `rackboot: ${says}`);
      else t.regex(line, new RegExp(`^rackboot: .*(?:${says.source})`));
      t.notRegex(line, /\bat .*:\d+:\d+|\[object|undefined$|node:internal/);
      if (out === undefined) t.is(ended.out, '');
      else t.regex(ended.out, out);
      if (title !== 'damage') {
        const after = await runCommand(['--site', here.site, '--json', 'image', 'ls']);
        if (after.status === 0) t.deepEqual(osimages(after.out), osimages(await listed()));
      }
    });
  }
}

let original: string | undefined;
async function listed(): Promise<string> {
  original ??= (await runCommand(['--site', join(template, 'site'), '--json', 'image', 'ls'])).out;
  return original;
}

function osimages(json: string): unknown {
  return (JSON.parse(json) as { osimage: string; generation: string }[]).map((row) => [
    row.osimage,
    row.generation,
  ]);
}

const media = (change: (dir: string) => Promise<unknown>) => (here: Place) => change(join(here.dir, 'media'));
const initrd = (text: string | Buffer) => media((dir) => writeFile(join(dir, 'initrd.gz'), text));
const again = 'image import DIR/media --name again';

check('import', [
  {
    words: again,
    before: media((dir) => truncate(join(dir, 'initrd.gz'), 9000)),
    says: 'DIR/media/initrd.gz: the gzip stream ends inside its data at offset 9000; the file is cut short, fetch it again',
  },
  {
    words: again,
    before: initrd('hello\n'),
    says: /DIR\/media\/initrd\.gz: not an archive: "hello\\n" at offset 0 .*; give an initrd/,
  },
  {
    words: again,
    before: initrd(''),
    says: /DIR\/media\/initrd\.gz: the archive is empty; give a cpio archive/,
  },
  {
    words: again,
    before: media(async (dir) =>
      execFileSync('sh', ['-c', 'echo hello | gzip > "$1"', 'sh', join(dir, 'initrd.gz')]),
    ),
    says: /DIR\/media\/initrd\.gz: no newc cpio header at offset 0: found "hello\\n".*; the file is damaged or no initrd/,
  },
  {
    words: again,
    before: media((dir) => rm(join(dir, 'linux'))),
    says: /one kernel \(found: none\) and one initrd \(found: initrd\.gz\) are needed; name them with --kernel/,
  },
  {
    words: again,
    before: media((dir) => symlink('nowhere', join(dir, 'dangling'))),
    says: 'DIR/media/dangling: cannot be read (ENOENT); mend or remove it and import again',
  },
  {
    words: again,
    before: media((dir) => symlink('/etc/passwd', join(dir, 'passwd'))),
    says: 'DIR/media/passwd: a symbolic link that leaves DIR/media; replace it by the file it points to',
  },
  {
    words: 'image import DIR/nope --name again',
    says: "DIR/nope: no such file or directory; give the directory that holds the installer's kernel and initrd, an ISO, or an archive",
  },
  {
    words: 'image import DIR/empty --name again',
    says: /one kernel \(found: none\) and one initrd \(found: none\) are needed; name them with --kernel/,
  },
  { words: 'image import DIR/file --name again', says: /DIR\/file: not an archive: / },
  {
    words: 'image import file:///nope --name again',
    says: /\/nope: no such file or directory; give the directory/,
  },
  {
    words: 'image import file://host/nope --name again',
    says: 'file://host/nope: names no local file; write it as file:///path/of/the/file',
  },
  {
    words: 'image import http://127.0.0.1:1/ --name again',
    says: 'http://127.0.0.1:1/.treeinfo: ECONNREFUSED; check the address and the way to that server',
  },
  {
    words: 'image import DIR/media --name d12',
    says: /osimage "d12" exists already; choose another name, or remove it with: rackboot image rm d12/,
  },
  { words: 'image import DIR/media --name -x', says: /"-x": an osimage's name has 1 to 64 letters/ },
  { words: 'image import DIR/media --name boot', says: /"boot": an osimage's name has 1 to 64 letters/ },
]);

const layer = (files: Readonly<Record<string, string>>) => async (here: Place) => {
  const dir = join(here.site, 'layers', 'mine');
  await mkdir(dir);
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
};
const build = 'image build d12 --layers mine';

check('create', [
  {
    words: 'image create n --layers 8.3 --srcurl /srv/mirror',
    ...{ status: 2, says: /--srcurl \/srv\/mirror: no URL; write it as http:/ },
  },
  {
    words: 'image create n --layers 8.3 --srcurl:updates nope',
    ...{ status: 2, says: /--srcurl:updates nope: no URL/ },
  },
  {
    words: 'image create n --layers 8.3 --srcurl:linstor http://host/repo',
    ...{ status: 2, says: '--srcurl:linstor: no layer of that name is used; there are 8.3' },
  },
  {
    words: 'image create n --layers 8.3 -D http://host/repo',
    ...{ status: 2, says: /--define-repo http:\/\/host\/repo: must have 2 parts separated by a "!"/ },
  },
  {
    words: 'image create n --layers 8.3 -D a!http://host --efi-installer none',
    ...{ status: 2, says: /Allowed choices are rpm, mkimage/ },
  },
  {
    words: 'image create n --layers 8.3 --netinstall --sign-script DIR/file',
    ...{ status: 2, says: '--netinstall makes no tree; leave --sign-script out' },
  },
  {
    words: 'image create n --layers 8.3 --netinstall --extra-packages a',
    ...{ status: 2, says: '--netinstall makes no tree; leave --extra-packages out' },
  },
  { words: 'image create n', status: 2, says: /--layers/ },
  { words: 'image create n --layers nosuch', says: /nosuch/ },
]);

check('sign', [
  {
    words: 'repo sign DIR/empty --remove --key x',
    ...{ status: 2, says: '--remove takes the signature away, and nobody signs; give it alone' },
  },
  {
    words: 'repo sign DIR/empty --sign-script DIR/none',
    says: 'DIR/none: there is no such file; give the path of the program that signs',
  },
  {
    words: 'repo sign DIR/empty --sign-script DIR/file',
    says: 'DIR/file: not a program that can be run; chmod +x it',
  },
  {
    words: 'repo sign DIR/empty --sign-script DIR/file --key x',
    status: 2,
    says: /--sign-script goes alone/,
  },
  {
    words: 'repo sign DIR/empty --only-this-key',
    before: ({ site }) =>
      writeFile(
        join(site, 'rackboot.yaml'),
        `name: x\nsigning: { by: script, script: ${JSON.stringify(process.execPath)} }\n`,
      ),
    ...{ status: 2, says: /the site’s signer is a script, which names its key itself; leave --name and/ },
  },
  {
    words: 'repo sign DIR/empty --key x --gnupg-home DIR/none',
    says: 'DIR/none: there is no such directory; give the GnuPG home that has the key',
  },
]);

check('change', [
  {
    words: 'image put d12 DIR/nope:/etc/x',
    says: 'DIR/nope: no such file; give a local file before the colon',
  },
  {
    words: 'image put d12 DIR/empty:/etc/x',
    says: /DIR\/empty: put takes regular files; for directories and links make a layer/,
  },
  {
    words: 'image put d12 DIR/file:/etc/motd/x',
    says: 'put /etc/motd/x: /etc/motd is a file in the image, so nothing can be put below it; delete it first',
  },
  { words: 'image put d12 DIR/file:/etc', says: /put \/etc: / },
  {
    words: 'image put d12 DIR/file:/',
    says: /put \/: the root of the image is a directory; name a file in it/,
  },
  { words: 'image put d12 DIR/file:/../x', says: /"\/\.\.\/x": a path inside an image may not hold "\.\."/ },
  {
    words: 'image put d12 DIR/file',
    status: 2,
    says: /DIR\/file": give a local file, a colon and an absolute path in the image/,
  },
  {
    words: 'image put d12 --archive nope DIR/file:/x',
    says: 'no archive "nope" in this generation; it has initrd.gz',
  },
  { words: 'image put nope DIR/file:/x', says: 'no osimage "nope"; there are d12' },
  {
    words: 'image delete d12 /nope',
    says: '/nope is not in the image; list what is with: rackboot image files',
  },
  { words: 'image chmod d12 0644 /nope', says: /\/nope is not in the image/ },
  { words: 'image chmod d12 9 /etc/motd', status: 2, says: /it must be an octal mode, such as 0644/ },
  {
    words: build,
    says: 'no layer "mine": looked for DIR/site/layers/mine, ROOT/configs/mine; make that directory or give a path',
  },
  {
    words: build,
    before: layer({ bootargs: 'a={{ wrong.mac }}' }),
    says: /mine\/bootargs line 1: undefined variable: wrong; known are: node/,
  },
  {
    words: build,
    before: layer({ 'answerfile.liquid': 'one\ntwo {{ settings.nope }}\n' }),
    says: /mine\/answerfile\.liquid line 2: undefined variable: settings\.nope/,
  },
  {
    words: build,
    before: layer({ 'answerfile.liquid': 'one\n\n{% if x %}\n' }),
    says: /mine\/answerfile\.liquid line 3: /,
  },
  {
    words: build,
    before: layer({ 'answers.cfg': '' }),
    says: /DIR\/site\/layers\/mine\/answers\.cfg: a layer may hold .*; move it below overlay\//,
  },
  {
    words: build,
    before: layer({ INCLUDE: 'nope\n' }),
    says: /no layer "nope" \(included by DIR\/site\/layers\/mine\): looked for /,
  },
  { words: build, before: layer({ INCLUDE: 'mine\n' }), says: /mine/ },
  { words: `${build} --set x`, status: 2, says: /it has the form key=value/ },
]);

check('look', [
  { words: 'image show nope', says: 'no osimage "nope"; there are d12' },
  { words: 'image history nope', says: /no osimage "nope"/ },
  {
    words: 'image files d12@7',
    says: 'd12 has no generation "7"; give a number or six digits of an id from: rackboot image history d12',
  },
  { words: 'image show d12@ffffff', says: /d12 has no generation "ffffff"; give a number/ },
  { words: 'image rollback d12 9', says: /d12 has no generation "9"/ },
  {
    words: 'image rm d12@2',
    says: /d12: generation [0-9a-f]+ is the current one; first run: rackboot image rollback d12/,
  },
  {
    words: 'image cat d12 /nope',
    says: /\/nope is not in the image; list what is with: rackboot image files/,
  },
  { words: 'image cat d12 /etc', says: '/etc is no regular file; list it with: rackboot image files' },
  {
    words: 'image verify d12 --iso DIR/nope',
    says: 'DIR/nope: cannot be read (ENOENT); give the ISO that image iso wrote',
  },
  {
    words: 'image verify d12 --iso DIR/file',
    says: /DIR\/file: No ISO 9660 volume descriptor at byte 32768/,
  },
  { words: 'iso ls DIR/nope', says: 'DIR/nope cannot be opened (ENOENT). Name an ISO image.' },
  { words: 'iso ls DIR/file', says: /DIR\/file: No ISO 9660 volume descriptor/ },
  { words: 'node show nope', says: /no node or group called nope; nothing was done/ },
  { words: 'node add n2 --mac zz', status: 2, says: /MAC 'zz': write twelve hexadecimal digits/ },
  { words: 'nodeset n1 osimage=nope', says: /nope/ },
  { words: 'nodeset n1 osimage=d12@9', says: /d12 has no generation "9"/ },
  { words: 'status nope', says: /no node or group called nope/ },
  { words: 'imag ls', status: 2, says: "unknown command 'imag'; did you mean image?" },
  { words: 'frobnicate', status: 2, says: "unknown command 'frobnicate'; see: rackboot --help" },
  { words: 'image ls extra', status: 2, says: /too many arguments.*; see: rackboot image ls --help/ },
  {
    words: 'image put d12',
    status: 2,
    says: "missing required argument 'file:path'; see: rackboot image put --help",
  },
]);

check('iso', [
  {
    words: 'image iso d12 -o DIR/nope/x.iso',
    says: 'DIR/nope/x.iso: cannot be written: there is no such directory; nothing was left there, choose another place',
  },
  {
    words: 'image iso d12 -o DIR/file/x.iso',
    says: /DIR\/file\/x\.iso: cannot be written: that is below a file/,
  },
  {
    words: 'image iso d12 -o DIR/empty',
    says: 'DIR/empty: is a directory; name a file in it',
  },
  {
    words: 'image iso d12 -o /dev/null',
    says: '/dev/null: is no regular file; write to one, then copy it there with dd',
  },
  {
    words: 'image iso d12 -o DIR/site/store/packs/x',
    says: "DIR/site/store/packs/x: is the site's own; choose a place outside of DIR/site",
  },
  { words: 'image iso d12 -o DIR/site/state.db', says: /DIR\/site\/state\.db: is the site's own/ },
  {
    words: 'image iso d12 -o DIR/x.iso --node n9',
    says: /no node n9; add it with: rackboot node add n9 --mac MAC/,
  },
  { words: 'image iso d12 -o DIR/x.iso --volume-id a/b', status: 2, says: /a\/b/ },
  { words: 'image iso nope -o DIR/x.iso', says: /no osimage "nope"/ },
  {
    words: 'image iso d12',
    status: 2,
    says: "required option '-o, --output <file>' not specified; see: rackboot image iso --help",
  },
]);

const config = (text: string) => (here: Place) => writeFile(join(here.site, 'rackboot.yaml'), text);

check('site', [
  {
    words: '--site DIR/nope image ls',
    says: 'DIR/nope: not a rackboot site; make one with: rackboot --site DIR/nope init',
  },
  { words: '--site DIR/empty image ls', says: /DIR\/empty: not a rackboot site; make one with/ },
  { words: '--site DIR/file image ls', says: /DIR\/file: not a rackboot site; make one with/ },
  {
    words: 'init',
    says: 'DIR/site: already is a rackboot site; change it by editing DIR/site/rackboot.yaml',
  },
  {
    words: '--site DIR/media init',
    says: /DIR\/media: not empty \(it holds .*\); give an empty or a new directory/,
  },
  {
    words: '--site DIR/file init',
    says: /DIR\/file: no site can be made here: a file is in the way; give a directory/,
  },
  {
    words: 'image ls',
    before: config('nmae: x\n'),
    says: "DIR/site/rackboot.yaml line 1: unknown key 'nmae'; did you mean 'name'?",
  },
  {
    words: 'image ls',
    before: config('http:\n  lisen: x\n'),
    says: "DIR/site/rackboot.yaml line 2: unknown key 'lisen' in 'http'; did you mean 'listen'?",
  },
  { words: 'image ls', before: config('http: [\n'), says: /DIR\/site\/rackboot\.yaml line 2: / },
  {
    words: 'image ls',
    before: config('tftp: { listen: everywhere }\n'),
    says: /DIR\/site\/rackboot\.yaml line 1: tftp\.listen must be/,
  },
  {
    words: 'image ls',
    before: async ({ site }) => {
      await rm(join(site, 'rackboot.yaml'));
      await mkdir(join(site, 'rackboot.yaml'));
    },
    says: 'DIR/site/rackboot.yaml: cannot be read (EISDIR); make it a file that this user may read.',
  },
  {
    words: 'image ls',
    before: config('database: postgres://rack:secret@127.0.0.1:1/x\n'),
    says: 'postgres://127.0.0.1:1/x: the database server does not answer; start it, or mend `database` in rackboot.yaml.',
  },
]);

test('serve on ports in use names them and the key to change', async (t) => {
  const { site } = await place(t);
  const tcp = createServer().listen(0, '127.0.0.1');
  const udp = createSocket('udp4').bind(0, '127.0.0.1');
  t.teardown(() => {
    tcp.close();
    udp.close();
  });
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  const address = tcp.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  await writeFile(join(site, 'rackboot.yaml'), `http: { listen: "127.0.0.1:${port}" }\n`);
  const http = await runCommand(['--site', site, 'serve', '--log-level', 'silent']);
  t.like(http, { status: 1, out: '' });
  t.is(
    http.err,
    `rackboot: HTTP cannot listen on 127.0.0.1:${port}: the port is in use; stop what uses it (ss -ltnp), or change http.listen in rackboot.yaml\n`,
  );
  await writeFile(
    join(site, 'rackboot.yaml'),
    `http: { listen: "127.0.0.1:0" }\ntftp: { listen: "127.0.0.1:${udp.address().port}" }\n`,
  );
  const tftp = await runCommand(['--site', site, 'serve', '--log-level', 'silent']);
  t.like(tftp, { status: 1, out: '' });
  t.regex(tftp.err, /^rackboot: TFTP, 127\.0\.0\.1 port \d+: another program has it\. .*tftp\.listen.*\n$/);
});

const packs =
  (change: (pack: string) => Promise<unknown>) =>
  async ({ site }: Place) => {
    const dir = join(site, 'store', 'packs');
    for (const name of await readdir(dir)) await change(join(dir, name));
  };
/** Every byte of the packs but their first and last 400 turned over. */
const spoil = packs(async (pack) => {
  const bytes = await readFile(pack);
  await writeFile(
    pack,
    bytes.map((byte, at) => (at < 16 || at > bytes.length - 400 ? byte : byte ^ 0xff)),
  );
});
const database =
  (change: (file: string) => Promise<unknown>) =>
  ({ site }: Place) =>
    change(join(site, 'state.db'));
const verified = /^(?:[0-9a-f]{32}\.pack.*\n)+\d+ blobs, .*: damaged\n$/;

check('damage', [
  {
    words: 'image ls',
    before: database((file) => writeFile(file, Buffer.alloc(50_000, 7))),
    says: 'DIR/site/state.db is not a database, or a damaged one; put a backup in its place.',
  },
  {
    words: 'image ls',
    before: database((file) => truncate(file, 4096)),
    says: /DIR\/site\/state\.db is not a database, or a damaged one; put a backup in its place/,
  },
  {
    words: 'image ls',
    before: database(async (file) => {
      await rm(file);
      await mkdir(file);
    }),
    says: /DIR\/site\/state\.db cannot be opened: make it and its directory readable and writable/,
  },
  {
    words: 'store verify',
    before: spoil,
    says: /of the store's blobs and packs are damaged; put the files named above back from a backup/,
    out: verified,
  },
  {
    words: 'store verify',
    before: packs((pack) => rm(pack)),
    says: /blobs and packs are damaged/,
    out: verified,
  },
  {
    words: 'store verify',
    before: packs((pack) => truncate(pack, 100)),
    says: /blobs and packs are damaged/,
    out: verified,
  },
  {
    words: 'image files d12',
    before: spoil,
    says: /DIR\/site\/store\/packs\/[0-9a-f]{32}\.pack: blob [0-9a-f]{64} has changed on disk; run: rackboot store verify/,
  },
  {
    words: 'image put d12 DIR/file:/x',
    before: spoil,
    says: /has changed on disk; run: rackboot store verify/,
  },
  {
    words: 'image files d12',
    before: packs((pack) => rm(pack)),
    says: /\.pack: is gone; run: rackboot store verify/,
  },
  {
    words: 'image iso d12 -o DIR/x.iso',
    before: packs((pack) => truncate(pack, 100)),
    says: /\.pack: ends \d+ bytes early; run: rackboot store verify/,
  },
  {
    words: 'image ls',
    before: async ({ site }) => {
      await rm(join(site, 'store'), { recursive: true });
      await writeFile(join(site, 'store'), '');
    },
    says: 'DIR/site/store: a file is where a directory belongs; put the site back from a backup.',
  },
]);
