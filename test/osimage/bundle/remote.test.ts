import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { remoteFile } from '../../../src/osimage/remote.js';
import { runCommand, type Outcome } from '../../cli/in-process.js';
import { noise } from '../../store/temporary-site.js';
import { startSshd, type Sshd } from '../../ssh/sshd.js';
import { bundleFiles, STATELESS, writeBundle } from './xcat-bundle.js';

let work = '';
let sshd: Sshd;
const user = userInfo().username;
const NAME = STATELESS['imagename']!;
const at = (name: string): string => path.join(work, name);
const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', at('site'), ...words]);
const there = (name: string): string => `ssh://${user}@127.0.0.1:${sshd.port}${at(name)}`;
const usual = (): string[] => ['--ssh-key', sshd.key, '--known-hosts', sshd.knownHosts];

test.before(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'rackboot-remote-'));
  sshd = await startSshd(at('sshd'));
  await rackboot('init');
  const files = await bundleFiles(work);
  await writeBundle(at('b.tgz'), { ...files, kernel: noise(1, 3_000_000) });
});
test.after.always(async () => {
  await sshd.stop();
  await rm(work, { recursive: true, force: true });
});

const TARGETS: readonly (readonly [text: string, wanted: string | undefined])[] = [
  ['root@mn1:/root/b.tgz', 'root@mn1:22 /root/b.tgz'],
  ['root@mn1:b.tgz', 'root@mn1:22 b.tgz'],
  ['root@[fd00::1]:/b', 'root@fd00::1:22 /b'],
  ['ssh://op@mn1:2222/dir/a%20b', 'op@mn1:2222 /dir/a b'],
  ['ssh://op@[fd00::1]/b', 'op@fd00::1:22 /b'],
  ['./root@mn1:/b', undefined],
  ['/a/root@mn1:/b', undefined],
  ['mn1:/b', undefined],
  ['https://user@host:1/b', undefined],
];

for (const [text, wanted] of TARGETS) {
  test(`${text} is ${wanted ?? 'a local name'}`, (t) => {
    const found = remoteFile(text);
    const shown = found && `${found.target.user}@${found.target.host}:${found.target.port} ${found.path}`;
    t.is(shown, wanted);
  });
}

test('a password in a URL is refused, and not shown', (t) => {
  for (const url of ['ssh://u:secret@h/x', 'ssh://h', 'ssh://', 'ssh://h/%zz', 'ssh://%ff@h/x']) {
    const { message } = t.throws(() => remoteFile(url));
    t.regex(message, /no such URL of ssh; write it as/);
    t.notRegex(message, /secret/);
  }
});

test.serial('a bundle is imported from another machine, and exported to it', async (t) => {
  const made = await rackboot('image', 'import', there('b.tgz'), ...usual());
  t.is(made.status, 0, made.err);
  const history = await rackboot('image', 'history', NAME);
  t.regex(history.out, /import ssh:\/\//);

  const local = await rackboot('image', 'export', NAME, '-o', at('local.tgz'));
  t.is(local.status, 0, local.err);
  const sent = await rackboot('image', 'export', NAME, '-o', there('sent.tgz'), ...usual());
  t.is(sent.status, 0, sent.err);
  t.true((await readFile(at('sent.tgz'))).equals(await readFile(at('local.tgz'))));
  t.is((await stat(at('sent.tgz'))).mode & 0o777, 0o644);

  await writeFile(at('victim'), 'mine');
  await symlink(at('victim'), at(`sent.tgz.partial-${process.pid}`));
  await rm(at('sent.tgz'));
  t.is((await rackboot('image', 'export', NAME, '-o', there('sent.tgz'), ...usual())).status, 0);
  t.is(await readFile(at('victim'), 'utf8'), 'mine', 'a link that waits for the file is not followed');
  await rm(at(`sent.tgz.partial-${process.pid}`), { force: true });

  await writeFile(at('sent.tgz'), 'other');
  const refused = await rackboot('image', 'export', NAME, '-o', there('sent.tgz'), ...usual());
  t.is(refused.status, 1);
  t.regex(refused.err, /sent\.tgz: exists already; .*--force/);
  t.is(await readFile(at('sent.tgz'), 'utf8'), 'other');
  const forced = await rackboot('image', 'export', NAME, '-o', there('sent.tgz'), '--force', ...usual());
  t.is(forced.status, 0, forced.err);
  t.true((await readFile(at('sent.tgz'))).equals(await readFile(at('local.tgz'))));
  t.deepEqual(
    (await readdir(work)).filter((name) => name.includes('partial')),
    [],
  );
});

test.serial('what is wrong over there is one line, and nothing comes of it', async (t) => {
  await writeFile(at('empty-hosts'), '');
  await writeFile(at('text'), 'no bundle');
  const cases: readonly (readonly [words: readonly string[], says: RegExp])[] = [
    [['image', 'import', there('none.tgz'), ...usual()], /none\.tgz: no such file; check the path/],
    [['image', 'import', there('text'), ...usual()], /text: neither a tar archive nor a gzipped one/],
    [['image', 'import', there('site'), ...usual()], /site: /],
    [
      ['image', 'import', there('b.tgz'), '--ssh-key', sshd.key, '--known-hosts', at('empty-hosts')],
      /its host key is in no known_hosts file/,
    ],
    [
      ['image', 'import', there('b.tgz'), '--ssh-key', at('text'), '--known-hosts', sshd.knownHosts],
      /text: (others may read|no private key)/,
    ],
    [
      ['image', 'export', NAME, '-o', there('no/such/dir.tgz'), ...usual()],
      /dir\.tgz: no such file; check the path/,
    ],
    [
      [
        'image',
        'export',
        NAME,
        '-o',
        there('x.tgz'),
        '--ssh-key',
        sshd.key,
        '--known-hosts',
        at('empty-hosts'),
      ],
      /its host key is in no known_hosts file/,
    ],
  ];
  for (const [words, says] of cases) {
    const { status, err } = await rackboot(...words, ...(words.includes('import') ? ['--name', 'none'] : []));
    t.is(status, 1, err);
    t.regex(err, says);
    t.is(err.split('\n').filter((line) => line.startsWith('rackboot:')).length, 1, err);
  }
  t.not((await rackboot('image', 'show', 'none')).status, 0);
});
