import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { RepoErrorCode } from '../../../src/repo/errors.js';
import {
  dnfError,
  dnfReason,
  layPackageManager,
  rpmError,
} from '../../../src/osimage/create/package-manager.js';

// What dnf 4.14 wrote to standard error, and what is made of it.
const table: readonly (readonly [string, string, RepoErrorCode, RegExp])[] = [
  [
    'no such package',
    'Error: Unable to find a match: nonsense\n',
    'UNRESOLVED',
    /^p: Unable to find a match: nonsense; /,
  ],
  [
    'a dependency that is nowhere',
    'Error: \n Problem: conflicting requests\n  - nothing provides /bin/sh needed by busybox-1-1.noarch\n',
    'UNRESOLVED',
    /^p: conflicting requests; nothing provides \/bin\/sh needed by busybox-1-1\.noarch; /,
  ],
  [
    'a server that does not answer',
    "Errors during downloading metadata for repository 'base':\n  - Curl error (7): Couldn't connect to server for http://127.0.0.1:9/repodata/repomd.xml [Failed to connect]\nError: Failed to download metadata for repo 'base': Cannot download repomd.xml\n",
    'FETCH_FAILED',
    /^p: Curl error \(7\): Couldn't connect.*Failed to download metadata for repo 'base'/,
  ],
  [
    'a server whose answer came slowly',
    "base                                            0.0  B/s |   0  B     00:00    \nbase                                            2.0 MB/s | 5.9 kB     00:00    \nErrors during downloading metadata for repository 'base':\n  - Curl error (6): Couldn't resolve host name\nError: Failed to download metadata for repo 'base'\n",
    'FETCH_FAILED',
    /^p: Curl error \(6\): Couldn't resolve host name; Failed to download/,
  ],
  [
    'a full disk',
    'Error: Transaction test error:\n  installing package a-1 needs 5MB more space on the / filesystem\nError Summary\nDisk Requirements:\n   At least 5MB more space needed on the / filesystem.\n',
    'NO_ACCESS',
    /free some space/,
  ],
  [
    'a key that is not there',
    'Public key for a-1.rpm is not installed\nError: GPG check FAILED\n',
    'BAD_SIGNATURE',
    /GPG check FAILED/,
  ],
  [
    'checks without a key',
    'You have enabled checking of packages via GPG keys. This is a good thing.\nHowever, you do not have any GPG public keys installed. You need to download\n',
    'BAD_SIGNATURE',
    /^p: gpgcheck is on, and no repository of the layers names the key/,
  ],
  ['something else', 'Error: it broke\n', 'TOOL_FAILED', /^p: it broke$/],
  ['nothing', '\n', 'TOOL_FAILED', /^p: dnf does not say why$/],
];

for (const [what, said, code, message] of table)
  test(`dnf: ${what}`, (t) => {
    const error = dnfError('p', said);
    t.is(error.code, code);
    t.regex(error.message, message);
    t.false(error.message.includes('\n'));
  });

// What rpm 4.18 wrote.
const rpmTable: readonly (readonly [string, string, RepoErrorCode, RegExp])[] = [
  [
    'a file that cannot be written',
    'a-1-1.noarch\nerror: unpacking of archive failed on file /etc/a;6b0: cpio: open failed - Not a directory\nerror: a-1-1.noarch: install failed\n',
    'TOOL_FAILED',
    /^p cannot be installed: unpacking of archive failed on file \/etc\/a;6b0: cpio: open failed - Not a directory$/,
  ],
  [
    'a full disk, told before',
    '\tinstalling package a-1-1.noarch needs 5MB more space on the / filesystem\n',
    'NO_ACCESS',
    /^p: installing package a-1-1\.noarch needs 5MB more space on the \/ filesystem; free some space/,
  ],
  [
    'a full disk, met on the way',
    'error: unpacking of archive failed on file /a;1: cpio: write failed - No space left on device\nerror: a-1-1.noarch: install failed\n',
    'NO_ACCESS',
    /No space left on device; free some space/,
  ],
  ['nothing', '', 'TOOL_FAILED', /^p cannot be installed: rpm does not say why$/],
];

for (const [what, said, code, message] of rpmTable)
  test(`rpm: ${what}`, (t) => {
    const error = rpmError('p', said);
    t.is(error.code, code);
    t.regex(error.message, message);
  });

test('a reason is one line of at most four, each once', (t) => {
  t.is(dnfReason('Error: a\n - b\n - b\n - c\n - d\n - e\n'), 'a; b; c; d');
});

test('dnf’s configuration is the layers’, but where it works is ours', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-dnf-conf-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const args = await layPackageManager(dir, {
    configuration: {
      where: 'yum.conf.tmpl',
      text: '[main]\ncachedir=@@CACHEDIR@@\nreposdir=/elsewhere\ngpgcheck=1\n',
    },
    repositories: [{ name: 'base', text: '[base]\nbaseurl=file:///x\n' }],
    release: '8.3',
    arch: 'x86_64',
  });
  const conf = await readFile(join(dir, 'dnf.conf'), 'utf8');
  t.true(conf.includes('\ngpgcheck=1\n'));
  t.false(conf.includes('/elsewhere'));
  t.is([...conf.matchAll(/^cachedir=/gm)].length, 1);
  t.true(conf.includes(`\nreposdir=${join(dir, 'repos.d')}\n`));
  t.is(await readFile(join(dir, 'repos.d/base.repo'), 'utf8'), '[base]\nbaseurl=file:///x\n');
  t.true(args.includes(`--config=${join(dir, 'dnf.conf')}`));
  t.true(args.includes('--releasever=8.3'));
});
