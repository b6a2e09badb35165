import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newSite, runSucceeding } from '../../cli/in-process.js';
import { served } from '../../cli/served.js';

/** Sets an attribute of a file: lsetxattr(2) by its number, which perl needs no library for. */
const SET =
  'syscall(189, $ARGV[0], $ARGV[1], pack("H*", $ARGV[2]), length($ARGV[2]) / 2, 0) == 0 or die "$!"';
const PERL = ['/usr/bin/env', 'PERL_BADLANG=0', '/usr/bin/perl', '-e'];
const hex = (text: string): string => Buffer.from(text).toString('hex');

/** CAP_NET_RAW, permitted and effective (Linux, uapi/linux/capability.h: vfs_cap_data, revision 2). */
const CAPABILITY = '0100000200200000000000000000000000000000';

/** A root directory with perl, the libraries that it needs, and a file with an attribute. */
function makeRoot(root: string): void {
  const libraries = execFileSync('ldd', ['/usr/bin/perl'], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g);
  for (const file of ['/usr/bin/env', '/usr/bin/perl', ...[...libraries].map(([, path = '']) => path)]) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    copyFileSync(realpathSync(file), join(root, file));
  }
  mkdirSync(join(root, 'etc'));
  for (const name of ['motd', 'hosts', 'same']) writeFileSync(join(root, 'etc', name), `${name}\n`);
  execFileSync('ln', [join(root, 'etc/same'), join(root, 'etc/other')]);
}

/** A new site with osimage `x`, made by `pack` of that root directory. */
async function site(t: ExecutionContext, pack: (root: string, file: string) => void) {
  const { dir, rackboot } = await newSite(t);
  const work = join(dir, '..');
  const root = join(work, 'root');
  makeRoot(root);
  const file = join(work, 'x.img');
  pack(root, file);
  const succeed = (...words: string[]): Promise<string> => runSucceeding(['--site', dir, ...words]);
  await succeed('image', 'import', file, '--name', 'x');
  const set = (path: string, name: string, value: string) =>
    rackboot('image', 'edit', 'x', '--', ...PERL, SET, path, name, value);
  return { dir, work, rackboot, succeed, set };
}

const asTar = (root: string, file: string): void =>
  void execFileSync('tar', ['-C', root, '--format=pax', '-czf', file, '.']);

/** The records of extended attributes of the entry `name`, by python's reader. */
function attributesIn(file: string, name: string): Record<string, string> {
  const script =
    'import json,sys,tarfile; t=tarfile.open(sys.argv[1]); m=t.getmember(sys.argv[2]); ' +
    'print(json.dumps({k: v.encode("utf-8", "surrogateescape").hex() for k, v in m.pax_headers.items() if ".xattr." in k}))';
  return JSON.parse(execFileSync('python3', ['-c', script, file, name], { encoding: 'utf8' })) as Record<
    string,
    string
  >;
}

test('attributes that a command sets stay in a tar archive, through later edits and builds', async (t) => {
  const { dir, work, succeed, rackboot, set } = await site(t, asTar);
  const archive = async (): Promise<string> => {
    const file = join(work, 'now.tar.gz');
    writeFileSync(file, await served(dir, 'x', 'x.img'));
    return file;
  };
  t.is((await set('/etc/motd', 'user.origin', hex('here'))).err, '');
  t.deepEqual(attributesIn(await archive(), './etc/motd'), { 'SCHILY.xattr.user.origin': hex('here') });
  t.deepEqual(attributesIn(await archive(), './etc/hosts'), {});
  await succeed('image', 'chmod', 'x', '600', '/etc/motd');
  t.deepEqual(attributesIn(await archive(), './etc/motd'), { 'SCHILY.xattr.user.origin': hex('here') });

  // A directory, another name of a file, a value that is no text, and one that replaces another.
  t.is((await set('/etc', 'user.on', hex('directory'))).status, 0);
  t.is((await set('/etc/other', 'user.a=b', '00ff0a3d')).status, 0);
  t.is((await set('/etc/motd', 'user.origin', hex('there'))).status, 0);
  const now = await archive();
  t.deepEqual(attributesIn(now, './etc'), { 'SCHILY.xattr.user.on': hex('directory') });
  const links = [attributesIn(now, './etc/same'), attributesIn(now, './etc/other')];
  t.deepEqual(
    links.flatMap((one) => Object.keys(one)),
    ['SCHILY.xattr.user.a%3Db'],
  );
  t.deepEqual(attributesIn(now, './etc/motd'), { 'SCHILY.xattr.user.origin': hex('there') });

  if (process.getuid?.() === 0) {
    t.is((await set('/etc/hosts', 'security.capability', CAPABILITY)).err, '');
    t.deepEqual(attributesIn(await archive(), './etc/hosts'), {
      'SCHILY.xattr.security.capability': CAPABILITY,
    });
    writeFileSync(join(work, 'hosts'), 'new\n');
    await succeed('image', 'put', 'x', `${join(work, 'hosts')}:/etc/hosts`);
    t.deepEqual(attributesIn(await archive(), './etc/hosts'), {});
  }
  // GNU tar gives them to files.
  const out = join(work, 'out');
  mkdirSync(out);
  execFileSync('tar', [
    '-C',
    out,
    '--xattrs',
    '--xattrs-include=user.*',
    '-xzf',
    await archive(),
    './etc/motd',
  ]);
  const script = 'import os,sys; print(os.getxattr(sys.argv[1], "user.origin").decode())';
  t.is(execFileSync('python3', ['-c', script, join(out, 'etc/motd')], { encoding: 'utf8' }), 'there\n');
  t.is((await rackboot('image', 'edit', 'x', '--', ...PERL, '1')).status, 0);
});

test('and in a squashfs', async (t) => {
  const { dir, work, set } = await site(t, (root, file) =>
    execFileSync('mksquashfs', [root, file, '-comp', 'gzip', '-noappend', '-quiet'], { stdio: 'ignore' }),
  );
  t.is((await set('/etc/motd', 'user.origin', hex('here'))).err, '');
  const file = join(work, 'now.squashfs');
  writeFileSync(file, await served(dir, 'x', 'x.img'));
  const tar = join(work, 'now.tar');
  execFileSync('sh', ['-c', 'sqfs2tar "$0" > "$1"', file, tar], { stdio: ['ignore', 'ignore', 'ignore'] });
  t.deepEqual(attributesIn(tar, 'etc/motd'), { 'SCHILY.xattr.user.origin': hex('here') });
});

test('cpio holds none, which one line says', async (t) => {
  const { dir, set } = await site(t, (root, file) =>
    execFileSync('sh', ['-c', 'cd "$0" && find . | cpio -o -H newc --quiet | gzip > "$1"', root, file]),
  );
  const before = await served(dir, 'x', 'x.img');
  const { status, err, out } = await set('/etc/motd', 'user.origin', hex('here'));
  t.is(status, 0);
  t.is(
    err,
    'the extended attributes that the command set of /etc/motd are lost: a cpio archive holds none, tar and squashfs do\n',
  );
  t.regex(out, /changed nothing/);
  t.true((await served(dir, 'x', 'x.img')).equals(before));
});
