import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { program, runProgram, type Ended } from '../../cli/media.js';
import { runProgram as runTool } from '../../product/commands.js';
import { makeInstallerRepository, writeCheckout, type InstallerRepository } from './installer-repository.js';
import { processesWith } from '../processes-with.js';
import { BUILT, buildTreePackages } from './tree-packages.js';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
const AS_NOBODY = ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];

let work: string;
let made: InstallerRepository;

test.before(async (t) => {
  t.timeout(300_000);
  work = await mkdtemp(join(tmpdir(), 'rackboot-create-'));
  await chmod(work, 0o755);
  made = await makeInstallerRepository(work);
});

test.after.always(async () => {
  if (work !== undefined) await rm(work, { recursive: true, force: true });
});

interface Site {
  readonly dir: string;
  readonly run: (...words: string[]) => Promise<Ended>;
  readonly create: (layer: string, ...words: string[]) => Promise<Ended>;
}

let sites = 0;

/** A new site, of nobody where `wrapper` runs the program as that user. */
async function newSite(t: ExecutionContext, wrapper: readonly string[] = []): Promise<Site> {
  const dir = join(work, `site${sites++}`);
  await mkdir(dir);
  if (wrapper.length > 0) await chown(dir, NOBODY, NOBODY);
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const run = (...words: string[]): Promise<Ended> => runProgram(['--site', dir, ...words], wrapper);
  const init = await run('init');
  if (init.status !== 0) throw new Error(init.err);
  return { dir, run, create: (layer, ...words) => run(...createWords(layer), ...words) };
}

const createWords = (layer: string): string[] => [
  ...['image', 'create', 'xcp', '--layers', layer, '--srcurl', `file://${made.packages}`],
  ...['--efi-installer', 'mkimage'],
];

let checkouts = 0;

/** A checkout in create-install-image's shape whose installer is made of `packages`. */
function checkout(...packages: string[]): Promise<string> {
  return writeCheckout(join(work, `checkout${checkouts++}`), packages.length === 0 ? undefined : packages);
}

async function json<T>(site: Site, ...words: string[]): Promise<T> {
  const { status, out, err } = await site.run('--json', ...words);
  if (status !== 0) throw new Error(`${words.join(' ')}: ${err}`);
  return JSON.parse(out) as T;
}

interface File {
  readonly path: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
}

test.serial('twice, and as a user without rights, it is the same generation', async (t) => {
  t.timeout(300_000);
  const layer = await checkout();
  const ids: string[] = [];
  for (const wrapper of isRoot ? [[], [], AS_NOBODY] : [[], []]) {
    const site = await newSite(t, wrapper);
    const { status, err } = await site.create(layer);
    t.is(status, 0, err);
    t.notRegex(err, /warning/i);
    ids.push((await json<{ generation: string }>(site, 'image', 'show', 'xcp')).generation);
    t.deepEqual(await readdir(join(site.dir, 'store/scratch')), []);
  }
  t.is(new Set(ids).size, 1, ids.join(', '));
});

test.serial('what is in the image, and whose', async (t) => {
  t.timeout(300_000);
  const site = await newSite(t, isRoot ? AS_NOBODY : []);
  const { status, err } = await site.create(await checkout());
  t.is(status, 0, err);
  const files = await json<File[]>(site, 'image', 'files', 'xcp');
  const of = (path: string): File | undefined => files.find((file) => file.path === path);
  t.true(files.every(({ uid, gid }) => uid === 0 && gid === 0));
  t.true(files.every(({ mtime }) => mtime <= BUILT));
  const cat = async (path: string): Promise<string> => (await site.run('image', 'cat', 'xcp', path)).out;
  t.regex(JSON.stringify(of('/usr/bin/rpm')), /4755/);
  t.regex(JSON.stringify(of('/proc')), /0?555/);
  t.is(await cat('/etc/issue'), 'Made of packages.\n');
  t.is(await cat('/var/lib/modules/made'), 'made by a script\n');
  // What scripts left of the day, of chance, and of /dev/null.
  t.is(
    await cat('/etc/shadow'),
    `root:!:19000:0:99999:7:::\nservice:!:${Math.floor(BUILT / 86_400)}::::::\n`,
  );
  t.is(await cat('/etc/machine-id'), '');
  for (const path of ['/var/log/dnf.log', '/var/cache/ldconfig/aux-cache', '/dev/null', '/.rackboot'])
    t.is(of(path), undefined, path);
  t.regex(await cat(`/lib/modules/${made.release}/modules.dep`), /e1000\.ko:/);
  const rpmdb = join(site.dir, 'rpmdb');
  await mkdir(rpmdb);
  const unpacked = await site.run('image', 'unpack', 'xcp', join(site.dir, 'root'));
  t.is(unpacked.status, 0, unpacked.err);
  const query = [
    'rpm',
    '--dbpath',
    join(site.dir, 'root/var/lib/rpm'),
    '-qa',
    '--qf',
    '%{NAME} %{INSTALLTIME}\n',
  ];
  t.deepEqual((await runTool(query, 'rpm')).trim().split('\n').sort(), [
    `installer ${BUILT}`,
    `modules ${BUILT}`,
    `system ${BUILT}`,
  ]);
});

test.serial(
  'its tree is whole: the ISO holds what the network serves, and dnf installs from it',
  async (t) => {
    t.timeout(300_000);
    const site = await newSite(t);
    const created = await site.create(await checkout(), '--extra-packages', 'forgotten-driver');
    t.is(created.status, 0, created.err);
    t.regex(created.err, /the repositories have no kernel-alt; what boots it is left out/);
    t.regex(created.err, /the tree is not signed/);
    const iso = join(site.dir, 'xcp.iso');
    t.is((await site.run('image', 'iso', 'xcp', '-o', iso)).status, 0);
    const verified = await site.run('image', 'verify', 'xcp', '--iso', iso);
    t.is(verified.status, 0, verified.err);
    const tree = join(site.dir, 'tree');
    await site.run('iso', 'extract', iso, tree);
    t.regex(await readFile(join(tree, '.treeinfo'), 'utf8'), new RegExp(`timestamp = ${BUILT}\\.00`));
    t.regex(await readFile(join(tree, '.treeinfo'), 'utf8'), /name = XCP-ng\nversion = 8\.3\.0\n/);
    t.regex(await readFile(join(tree, '.treeinfo'), 'utf8'), /^#key1 = /m);
    t.is(await readFile(join(tree, 'LICENSES'), 'utf8'), 'Licences of its parts.\n');
    for (const menu of ['boot/isolinux/isolinux.cfg', 'EFI/xenserver/grub.cfg'])
      t.regex(await readFile(join(tree, menu), 'utf8'), /vmlinuz no-repo-gpgcheck console=/);
    const { stdout } = {
      stdout: await runTool(['xorriso', '-indev', iso, '-report_el_torito', 'plain'], 'xorriso'),
    };
    t.regex(stdout, /boot\/isolinux\/isolinux\.bin/);
    t.regex(stdout, /boot\/efiboot\.img/);
    const root = join(site.dir, 'installed');
    const conf = join(site.dir, 'dnf.conf');
    await writeFile(
      conf,
      `[main]\nreposdir=/nowhere\ncachedir=/cache\nlogdir=/log\npersistdir=/state\ngpgcheck=0\n[tree]\nname=tree\nbaseurl=file://${tree}\n`,
    );
    const dnf = ['dnf', `--config=${conf}`, `--installroot=${root}`, '--releasever=8.3', '--assumeyes'];
    await runTool([...dnf, 'install', 'xcp-ng-deps', 'forgotten-driver'], 'dnf');
    const installed = await readdir(join(root, 'usr/share/product'));
    t.true(
      ['xcp-ng-deps', 'xapi-core', 'kernel', 'forgotten-driver'].every((name) => installed.includes(name)),
    );
  },
);

test.serial('netinstall media have no packages, and say so to the installer', async (t) => {
  t.timeout(300_000);
  const site = await newSite(t);
  const { status, err } = await site.create(await checkout(), '--netinstall');
  t.is(status, 0, err);
  const shown = (await site.run('image', 'show', 'xcp')).out;
  t.regex(shown, /netinstall console=hvc0/);
  t.notRegex(shown, /gpgcheck/);
  const iso = join(site.dir, 'xcp.iso');
  t.is((await site.run('image', 'iso', 'xcp', '-o', iso)).status, 0);
  t.notRegex((await site.run('iso', 'ls', iso)).out, /Packages|repodata|treeinfo/);
});

test.serial('what cannot be made is told on one line, and nothing is left', async (t) => {
  t.timeout(300_000);
  const others = join(work, 'broken');
  await buildTreePackages(others, [
    { name: 'broken', requires: ['system'], post: 'echo "it went wrong" >&2; exit 3' },
    { name: 'needy', requires: ['system', 'what-nobody-has'] },
  ]);
  await runTool(['createrepo_c', '--quiet', '--general-compress-type=gz', others], 'createrepo-c');
  const more = ['--define-repo', `more!file://${others}`];
  const site = await newSite(t);
  const cases: readonly (readonly [string, readonly string[], readonly string[], RegExp])[] = [
    [
      'a package that is nowhere',
      ['nonsense'],
      [],
      /^rackboot: the packages cannot be installed: Unable to find a match: nonsense; see packages\.lst/,
    ],
    [
      'a dependency that is nowhere',
      ['needy'],
      more,
      /nothing provides what-nobody-has needed by needy-1-1\.x86_64/,
    ],
    [
      'an extra package that is nowhere, which is no option either',
      ['installer'],
      ['--extra-packages', '--nosuch'],
      /^rackboot: the tree's packages \(xcp-ng-deps, --nosuch\): No package --nosuch available\.; see packages\.lst, --extra-packages/,
    ],
    [
      'a repository that does not answer',
      ['installer'],
      ['--srcurl', 'http://127.0.0.1:9/x'],
      /^rackboot: the packages of the medium cannot be listed: Curl error .*Couldn't connect.*; see --srcurl/,
    ],
    [
      'a script that fails',
      ['installer', 'broken'],
      more,
      /^rackboot: the %post script of broken-1-1\.x86_64 failed, exit status 3; .*--accept-failed-scripts/,
    ],
    [
      'no GRUB among the packages',
      ['installer'],
      ['--efi-installer', 'rpm'],
      /^rackboot: grub-efi: the repositories of the layers have no such package/,
    ],
  ];
  for (const [what, packages, words, message] of cases) {
    const { status, err } = await site.create(await checkout(...packages), ...words);
    t.is(status, 1, what);
    t.regex(err.trim().split('\n').at(-1) ?? '', message, what);
    if (words.includes('--extra-packages')) t.is(err.trim().split('\n').length, 1, 'nothing was begun');
    t.deepEqual(await readdir(join(site.dir, 'store/scratch')), [], what);
    t.is((await json<unknown[]>(site, 'image', 'ls')).length, 0, what);
  }
  const accepted = await site.create(
    await checkout('installer', 'broken'),
    ...more,
    '--accept-failed-scripts',
  );
  t.is(accepted.status, 0, accepted.err);
  t.regex(accepted.err, /^the %post script of broken-1-1\.x86_64 failed, exit status 3; accepted$/m);
  const again = await site.create(await checkout());
  t.is(again.status, 1);
  t.regex(again.err, /^rackboot: osimage "xcp" exists already/);
});

test.serial('what is wrong with templates is told before anything is looked for', async (t) => {
  const site = await newSite(t);
  const cases: readonly (readonly [string, (top: string) => Promise<void>, RegExp])[] = [
    [
      'none',
      (top) => rm(join(top, 'templates/iso'), { recursive: true }),
      /^rackboot: no templates\/iso\/8\.3 in the layers/,
    ],
    [
      'no menu',
      async (top) => {
        await rm(join(top, 'templates/iso/8.3/boot'), { recursive: true });
        await rm(join(top, 'templates/iso/8.3/EFI'), { recursive: true });
      },
      /^rackboot: templates\/iso holds no menu/,
    ],
    [
      'menus that load nothing',
      async (top) => {
        await rm(join(top, 'templates/iso/8.3/EFI'), { recursive: true });
        await writeFile(join(top, 'templates/iso/8.3/boot/isolinux/isolinux.cfg'), '# /boot/vmlinuz\n');
      },
      /^rackboot: templates\/iso: no entry of boot\/isolinux\/isolinux\.cfg loads \/boot\/vmlinuz/,
    ],
    [
      'a yum.conf.tmpl that is none',
      (top) => writeFile(join(top, 'configs/8.3/yum.conf.tmpl'), '[main\n'),
      /^rackboot: .*yum\.conf\.tmpl/,
    ],
    [
      'a placeholder that is none',
      (top) => appendFile(join(top, 'templates/iso/8.3/EFI/xenserver/grub.cfg'), '# @@NONSENSE@@\n'),
      /^rackboot: templates\/iso: EFI\/xenserver\/grub\.cfg:\d+: @@NONSENSE@@ is no placeholder/,
    ],
    [
      'a .treeinfo that installers refuse',
      (top) => appendFile(join(top, 'templates/iso/8.3/.treeinfo'), 'word\n'),
      /^rackboot: templates\/iso: \.treeinfo:\d+: "word", which is no/,
    ],
    [
      'a link to somewhere',
      (top) => symlink('/etc/passwd', join(top, 'templates/iso/8.3/passwd')),
      /^rackboot: .*8\.3\/passwd: leads to \/etc\/passwd, out of/,
    ],
  ];
  for (const [what, spoil, message] of cases) {
    const layer = await checkout();
    await spoil(join(layer, '../..'));
    // A repository that does not answer: it is not asked.
    const { status, err } = await site.create(layer, '--srcurl', 'http://127.0.0.1:9/x');
    t.is(status, 1, what);
    t.regex(err, message, what);
    t.is(err.trim().split('\n').length, 1, what);
    t.deepEqual(await readdir(join(site.dir, 'store/scratch')), [], what);
  }
});

test.serial('a file of another user than root is kept, or needs rights', async (t) => {
  t.timeout(300_000);
  const [others, root] = [join(work, 'foreign'), join(work, 'foreign-root')];
  await mkdir(root);
  await writeFile(join(root, 'mailbox'), 'mail\n');
  const attributes = { '/mailbox': '2640, root, mail' };
  await buildTreePackages(others, [{ name: 'foreign', requires: ['system'], root, attributes }]);
  await runTool(['createrepo_c', '--quiet', '--general-compress-type=gz', others], 'createrepo-c');
  const layer = await checkout('installer', 'foreign');
  const ids: string[] = [];
  const more = ['--define-repo', `more!file://${others}`];
  const subid = join(work, 'subid');
  await writeFile(subid, 'nobody:200000:65536\n');
  const bind = ['subuid', 'subgid'].map((name) => `mount --bind ${subid} /etc/${name}`).join(' && ');
  const identities = ['unshare', '--mount', 'sh', '-c', `${bind} && exec "$@"`, 'sh', ...AS_NOBODY];
  for (const wrapper of isRoot ? [[], identities] : []) {
    const site = await newSite(t, wrapper);
    const { status, err } = await site.create(layer, ...more);
    t.is(status, 0, err);
    ids.push((await json<{ generation: string }>(site, 'image', 'show', 'xcp')).generation);
    t.deepEqual(await readdir(join(site.dir, 'store/scratch')), []);
    const [file] = await json<File[]>(site, 'image', 'files', 'xcp', '/mailbox');
    t.deepEqual([file?.uid, file?.gid], [0, 8]);
    t.regex(JSON.stringify(file), /2640/);
  }
  t.true(new Set(ids).size <= 1, ids.join(', '));
  // Nobody has no identities in /etc/subuid.
  const site = await newSite(t, isRoot ? AS_NOBODY : []);
  const { status, err } = await site.create(layer, ...more);
  t.is(status, 1);
  t.regex(err, /^rackboot: \/mailbox[^ ]*: a package gives it to another user than root, .*\/etc\/subuid/m);
});

test.serial('a full disk is one line, and leaves the site as it was', async (t) => {
  t.timeout(300_000);
  const site = await newSite(t);
  const rights = isRoot ? [] : ['--map-root-user'];
  const script = `mount -t tmpfs -o size=14m tmpfs "$1" && shift && node=$1 program=$2 && shift 2 && "$node" "$program" --site "$SITE" init >/dev/null && { "$node" "$program" --site "$SITE" "$@"; echo "status $?"; ls "$SITE/store/scratch"; "$node" "$program" --site "$SITE" image ls; }`;
  const words = createWords(await checkout());
  const { out, err } = await endOf(
    spawn(
      'unshare',
      ['--mount', ...rights, '--', 'sh', '-c', script, 'sh', site.dir, process.execPath, program, ...words],
      { env: { ...process.env, SITE: site.dir }, stdio: ['ignore', 'pipe', 'pipe'] },
    ),
  );
  t.is(out.trim().split('\n')[0], 'status 1', err);
  t.regex(err.trim().split('\n').at(-1) ?? '', /^rackboot: .*(?:space)/);
  t.notRegex(out, /xcp/);
});

test.serial('killed at four moments: nothing or all of it, and nothing is mounted or runs on', async (t) => {
  t.timeout(300_000);
  const site = await newSite(t);
  const layer = await checkout();
  const started = performance.now();
  const whole = await newSite(t);
  t.is((await whole.create(layer)).status, 0);
  const ms = performance.now() - started;
  for (let turn = 1; turn <= 4; turn++) {
    const child = spawn(process.execPath, [program, '--site', site.dir, ...createWords(layer)], {
      stdio: 'ignore',
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), ((turn - 0.5) / 4) * ms);
    await once(child, 'exit');
    clearTimeout(timer);
    for (let tries = 0; (await processesWith(site.dir)).length > 0 && tries < 200; tries++) await sleep(100);
    t.deepEqual(await processesWith(site.dir), []);
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
    t.deepEqual(
      mounts.filter((line) => line.includes(site.dir)),
      [],
    );
    const all = await json<{ osimage: string }[]>(site, 'image', 'ls');
    t.true(all.length <= 1);
    if (all.length === 1) t.is((await site.run('image', 'rm', 'xcp', '--force')).status, 0);
  }
  t.is((await site.run('gc')).status, 0);
  t.deepEqual(await readdir(join(site.dir, 'store/scratch')), []);
});

test.serial('interrupted while packages are installed, it cleans up and says so', async (t) => {
  t.timeout(300_000);
  const site = await newSite(t);
  const words = ['--site', site.dir, ...createWords(await checkout()), '--verbose'];
  const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.on('data', (text: Buffer) => {
    if (text.toString().includes('Preparing packages')) child.kill('SIGTERM');
  });
  const { err } = await endOf(child);
  t.is(child.exitCode, 1);
  t.regex(err.trim().split('\n').at(-1) ?? '', /^rackboot: image create was interrupted; /);
  t.deepEqual(await readdir(join(site.dir, 'store/scratch')), []);
  t.deepEqual(await json<unknown[]>(site, 'image', 'ls'), []);
  t.deepEqual(await processesWith(site.dir), []);
});

test.serial('interrupted while a server does not answer, it ends at once', async (t) => {
  t.timeout(300_000);
  const site = await newSite(t);
  const silent = createServer();
  const held = new Set<Socket>();
  silent.on('connection', (socket) => held.add(socket.on('error', () => undefined)));
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    for (const socket of held) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as AddressInfo;
  const asked = new Promise<void>((done) => silent.once('connection', () => done()));
  const words = createWords(await checkout()).map((word) =>
    word.startsWith('file://') ? `http://127.0.0.1:${port}/` : word,
  );
  const child = spawn(process.execPath, [program, '--site', site.dir, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  void asked.then(() => child.kill('SIGTERM'));
  const { err } = await endOf(child);
  t.regex(err, /^rackboot: image create was interrupted; nothing is left of it, run it again\n$/);
  t.deepEqual(await readdir(join(site.dir, 'store/scratch')), []);
  t.deepEqual(await processesWith(site.dir), []);
});

async function endOf(child: ReturnType<typeof spawn>): Promise<{ out: string; err: string }> {
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await once(child, 'close');
  return { out, err };
}
