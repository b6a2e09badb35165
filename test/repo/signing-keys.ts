import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { output, run } from '../image/programs.js';

/** A GnuPG home with keys made for this test; its agent ends with the test. */
export interface Keyring {
  readonly home: string;
  /** The fingerprint of a new RSA key. */
  make(owner: string): Promise<string>;
  publicKey(key: string): Promise<string>;
  signPackages(key: string, files: readonly string[]): Promise<void>;
}

export async function keyring(t: Pick<ExecutionContext, 'teardown'>): Promise<Keyring> {
  const home = await mkdtemp(path.join(tmpdir(), 'rb-gpg-')); // short: the agent's socket lies in it
  await chmod(home, 0o700);
  t.teardown(async () => {
    await run('gpgconf', ['--homedir', home, '--kill', 'all']);
    await rm(home, { recursive: true, force: true });
  });
  const gpg = async (...args: string[]): Promise<string> =>
    (await output('gpg', [`--homedir=${home}`, '--batch', '--quiet', ...args])).toString('utf8');
  return {
    home,
    async make(owner) {
      await gpg('--passphrase', '', '--quick-generate-key', owner, 'rsa2048', 'sign', 'never');
      const listed = await gpg('--with-colons', '--list-keys', owner);
      return /^fpr:+([0-9A-F]+):/m.exec(listed)?.[1] ?? '';
    },
    publicKey: (key) => gpg('--armor', '--export', key),
    async signPackages(key, files) {
      const defines = [`_gpg_name ${key}`, `_gpg_path ${home}`, '__gpg /usr/bin/gpg'];
      await output('rpmsign', [...defines.flatMap((define) => ['--define', define]), '--addsign', ...files]);
    },
  };
}
