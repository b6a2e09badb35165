import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run, type Outcome } from '../image/programs.js';

/**
 * What dnf does that is asked to install `packages` from `url` into an empty root, checking repomd.xml and packages with the
 * keys at `key`; and the names that rpm finds installed there.
 */
export async function dnfInstall(
  url: string,
  key: string,
  packages: readonly string[],
): Promise<Outcome & { readonly installed: readonly string[] }> {
  const work = await mkdtemp(path.join(tmpdir(), 'rackboot-dnf-test-'));
  try {
    const root = path.join(work, 'root');
    const lines = [
      '[main]',
      'gpgcheck=0',
      'plugins=0',
      `reposdir=${work}/none`,
      `varsdir=${work}/none`,
      `cachedir=${work}/cache`,
      `logdir=${work}/log`,
      '[tree]',
      'name=tree',
      `baseurl=${url}`,
      'gpgcheck=1',
      'repo_gpgcheck=1',
      `gpgkey=${key}`,
    ];
    await writeFile(path.join(work, 'dnf.conf'), `${lines.join('\n')}\n`);
    const args = [
      `--config=${work}/dnf.conf`,
      `--installroot=${root}`,
      '--releasever=1',
      '--assumeyes',
      'install',
      ...packages,
    ];
    const outcome = await run('dnf', args);
    const query = await run('rpm', ['--root', root, '-qa', '--qf', '%{NAME}\\n']);
    const installed = query.stdout
      .toString('utf8')
      .split('\n')
      .filter((name) => name !== '' && name !== 'gpg-pubkey');
    return { ...outcome, installed: installed.sort() };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
