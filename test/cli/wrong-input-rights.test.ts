import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCommand } from './in-process.js';
import { makeMedia, runProgram } from './media.js';

const root = process.getuid?.() === 0;
/** Runs what follows without any capability: then file modes and ports hold for root too. */
const powerless = root ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all'] : [];

interface Case {
  readonly title: string;
  readonly words: readonly string[]; // DIR stands for the place
  readonly says: string; // the line behind `rackboot: `
  readonly before: (dir: string) => unknown;
  readonly wrapper?: (dir: string) => readonly string[]; // powerless when left out
}

async function place(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-rights-'));
  t.teardown(() => {
    execFileSync('chmod', ['-R', 'u+rwX', dir]);
    return rm(dir, { recursive: true });
  });
  await makeMedia(join(dir, 'media'), 50_000);
  await mkdir(join(dir, 'shut'));
  await writeFile(join(dir, 'file'), 'hello\n');
  const made = await runCommand(['--site', join(dir, 'site'), 'init']);
  const imported = await runCommand([
    '--site',
    join(dir, 'site'),
    'image',
    'import',
    join(dir, 'media'),
    '--name',
    'd12',
  ]);
  t.deepEqual([made.status, imported.status], [0, 0]);
  return dir;
}

const modes =
  (mode: string, ...names: string[]) =>
  (dir: string): unknown =>
    execFileSync('chmod', ['-R', mode, ...names.map((name) => join(dir, name))]);
const config =
  (text: string) =>
  (dir: string): unknown =>
    writeFile(join(dir, 'site', 'rackboot.yaml'), text);
const readOnlyMount = (dir: string): readonly string[] => [
  'unshare',
  '--mount',
  ...(root ? [] : ['--map-root-user']),
  'sh',
  '-c',
  'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"',
  join(dir, 'site'),
];
const readOnly = 'DIR/site is read-only: make it writable for this user, or use a copy of the site.';
const again = ['image', 'import', 'DIR/media', '--name', 'again'];
const serve = ['serve', '--log-level', 'silent'];

const cases: readonly Case[] = [
  { title: 'import into a read-only site', words: again, before: modes('a-w', 'site'), says: readOnly },
  {
    title: 'import into a read-only mount',
    words: again,
    before: () => undefined,
    wrapper: readOnlyMount,
    says: readOnly,
  },
  {
    title: 'put into a read-only mount',
    words: ['image', 'put', 'd12', 'DIR/file:/x'],
    before: () => undefined,
    wrapper: readOnlyMount,
    says: readOnly,
  },
  {
    title: 'a read-only store',
    words: again,
    before: modes('a-w', 'site/store'),
    says: 'DIR/site/store is read-only: make it writable for this user, or use a copy of the site.',
  },
  {
    title: 'a read-only database',
    words: again,
    before: modes('a-w', 'site/state.db'),
    says: 'DIR/site/state.db is read-only: make it and its directory writable, or use a copy of the site.',
  },
  {
    title: 'a site of somebody else',
    words: ['image', 'ls'],
    before: modes('a-rwx', 'site'),
    says: 'DIR/site/rackboot.yaml: cannot be read (EACCES); make it a file that this user may read.',
  },
  {
    title: 'init where nothing can be made',
    words: ['init', 'DIR/shut/new'],
    before: modes('a-w', 'shut'),
    says: 'DIR/shut/new: no site can be made here: it is read-only; give a writable directory.',
  },
  {
    title: 'an initrd that cannot be read',
    words: again,
    before: modes('a-r', 'media/initrd.gz'),
    says: 'DIR/media/initrd.gz: this user may not read it; give it the right to',
  },
  {
    title: 'media that cannot be listed',
    words: again,
    before: modes('a-r', 'media'),
    says: 'DIR/media: this user may not read it; give it the right to',
  },
  {
    title: 'a file that cannot be read',
    words: ['image', 'put', 'd12', 'DIR/file:/x'],
    before: modes('a-r', 'file'),
    says: 'DIR/file: this user may not read it; give it the right to',
  },
  {
    title: 'a layer that cannot be read',
    words: ['image', 'build', 'd12', '--layers', 'DIR/layer'],
    before: async (dir) => {
      await mkdir(join(dir, 'layer', 'overlay'), { recursive: true });
      await writeFile(join(dir, 'layer', 'overlay', 'x'), 'x');
      await chmod(join(dir, 'layer', 'overlay', 'x'), 0);
    },
    says: 'DIR/layer/overlay/x: this user may not read it; give it the right to',
  },
  {
    title: 'an ISO where nothing can be written',
    words: ['image', 'iso', 'd12', '-o', 'DIR/shut/x.iso'],
    before: modes('a-w', 'shut'),
    says: 'DIR/shut/x.iso: cannot be written: this user may not write there; nothing was left there, choose another place',
  },
  {
    title: 'TFTP on port 69',
    words: serve,
    before: config('http: { listen: "127.0.0.1:0" }\ntftp: { listen: "127.0.0.1:69" }\n'),
    says: 'TFTP, 127.0.0.1 port 69: no right to use it. Run as root or with CAP_NET_BIND_SERVICE, or change tftp.listen.',
  },
  {
    title: 'HTTP on port 80',
    words: serve,
    before: config('http: { listen: "127.0.0.1:80" }\n'),
    says: 'HTTP cannot listen on 127.0.0.1:80: no rights for that port; run as root, or use a port above 1023 in http.listen',
  },
  {
    title: 'DHCP',
    words: serve,
    before: config(
      'http: { listen: "127.0.0.1:0" }\ndhcp:\n  interfaces: { lo: authoritative }\n  subnets: [{ network: 127.0.0.0/8, server: 127.0.0.1 }]\n',
    ),
    says: 'DHCP, 127.0.0.1 port 67: no right to use it. Run as root or with CAP_NET_BIND_SERVICE, or turn DHCP off in dhcp.interfaces.',
  },
];

for (const { title, words, says, before, wrapper } of cases) {
  test.serial(`no rights: ${title}`, async (t) => {
    const dir = await place(t);
    await before(dir);
    const filled = words.map((word) => word.replace('DIR', dir));
    const ended = await runProgram(['--site', join(dir, 'site'), ...filled], wrapper?.(dir) ?? powerless);
    t.deepEqual(
      { ...ended, err: ended.err.replaceAll(dir, 'DIR') },
      { status: 1, out: '', err: `rackboot: ${says}\n` },
    );
    execFileSync('chmod', ['-R', 'u+rwX', dir]);
    t.deepEqual(await readdir(join(dir, 'site', 'store', 'tmp')), []);
    const verified = await runCommand(['--site', join(dir, 'site'), 'store', 'verify']);
    t.is(verified.status, 0);
  });
}
