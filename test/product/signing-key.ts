import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from './commands.js';

/** A key in a GnuPG home of its own. */
export interface SigningKey {
  readonly home: string;
  readonly user: string; // its user id
  readonly armoured: string; // the public key
}

/** Makes a key without a passphrase in `home`, a path short enough for GnuPG's sockets. */
export async function makeKey(home: string, user: string): Promise<SigningKey> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const gpg = (...args: string[]): Promise<string> =>
    runProgram(['gpg', '--homedir', home, '--batch', '--quiet', ...args], 'gnupg');
  await gpg('--passphrase', '', '--quick-generate-key', user, 'rsa2048', 'sign', 'never');
  return { home, user, armoured: await gpg('--armor', '--export', user) };
}

/** Signs `tree`'s repomd.xml: an armoured detached signature beside it, as repository signing tools make it. */
export async function signMetadata(tree: string, key: SigningKey): Promise<void> {
  const repomd = join(tree, 'repodata/repomd.xml');
  await runProgram(
    [
      ...['gpg', '--homedir', key.home, '--batch', '--yes', '--quiet', '--digest-algo', 'SHA256'],
      ...['--local-user', key.user, '--armor', '--output', `${repomd}.asc`, '--detach-sign', repomd],
    ],
    'gnupg',
  );
}

/** Signs every package in `directory`. */
export async function signPackages(directory: string, key: SigningKey): Promise<void> {
  const packages = (await readdir(directory)).filter((name) => name.endsWith('.rpm'));
  await runProgram(
    [
      ...['rpmsign', '--define', `_gpg_name ${key.user}`, '--define', '__gpg /usr/bin/gpg', '--addsign'],
      ...packages,
    ],
    'rpm',
    {
      cwd: directory,
      env: { GNUPGHOME: key.home },
    },
  );
}

/** Ends the agent that GnuPG started for the key. */
export async function releaseKey(key: SigningKey): Promise<void> {
  await runProgram(['gpgconf', '--homedir', key.home, '--kill', 'all'], 'gnupg');
}

/** The key's file at the top of the tree. */
export const KEY_FILE = 'RPM-GPG-KEY-test-product';

export async function exportKey(tree: string, key: SigningKey): Promise<void> {
  await writeFile(join(tree, KEY_FILE), key.armoured);
}
