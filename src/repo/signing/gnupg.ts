import { stat } from 'node:fs/promises';
import { RepoError } from '../errors.js';
import { lastLine, output, run, type Call } from '../program.js';
import { readKeys } from './openpgp.js';
import type { KeySigner } from './signer.js';

/** A key of a GnuPG home on this machine. */
export interface GnupgKey {
  readonly key?: string; // fingerprint, key id or user id; without it the one secret key that is there
  readonly home?: string; // without it GnuPG’s own choice: $GNUPGHOME, ~/.gnupg
  readonly name: string; // of the exported key file
}

/** Signs with a key of a GnuPG home; its agent may ask for the passphrase. Throws RepoError NO_KEY. */
export async function gnupgSigner({ key, home, name }: GnupgKey): Promise<KeySigner> {
  const fingerprint = await findKey(key, home);
  const publicKey = await output(gpg(home, ['--armor', '--export', fingerprint]));
  const [found] = await readKeys(publicKey, `the key ${fingerprint}`);
  return {
    kind: 'key',
    identity: fingerprint,
    name,
    publicKey: `${publicKey.trim()}\n`,
    async sign(bytes, time) {
      // The same bytes at the same time give the same signature; no key signs before it was made.
      const moment =
        time === undefined ? [] : [`--faked-system-time=${Math.max(time, found?.created ?? 0)}!`];
      const args = [
        ...moment,
        `--local-user=${fingerprint}!`,
        '--digest-algo=SHA256',
        '--no-emit-version',
        '--armor',
        '--detach-sign',
        '--output=-',
      ];
      const { code, stdout, stderr } = await run({ ...gpg(home, args), input: bytes });
      if (code === 0) return `${stdout.trim()}\n`;
      throw new RepoError('SIGNING_FAILED', `gpg did not sign with ${fingerprint}: ${lastLine(stderr)}`);
    },
  };
}

const missing = (directory: string): Promise<boolean> =>
  stat(directory).then(
    (info) => !info.isDirectory(),
    () => true,
  );

/** The fingerprint of the one secret key that `key` means. */
async function findKey(key: string | undefined, home: string | undefined): Promise<string> {
  const { stdout } = await run(
    gpg(home, ['--with-colons', '--list-secret-keys', ...(key === undefined ? [] : ['--', key])]),
  );
  const found: string[] = [];
  let isPrimary = false;
  for (const line of stdout.split('\n')) {
    const fields = line.split(':');
    if (fields[0] === 'sec') isPrimary = true;
    if (fields[0] !== 'fpr' || !isPrimary) continue;
    found.push(fields[9] ?? '');
    isPrimary = false;
  }
  const [fingerprint] = found;
  const where = home ?? 'the GnuPG home of this user';
  if (fingerprint === undefined && home !== undefined && (await missing(home)))
    throw new RepoError(
      'NO_KEY',
      `${home}: there is no such directory; give the GnuPG home that has the key`,
    );
  if (fingerprint === undefined) {
    throw new RepoError(
      'NO_KEY',
      `${where} has no secret key${key === undefined ? '' : ` ${key}`}; list them with: gpg --list-secret-keys`,
    );
  }
  if (found.length > 1) {
    throw new RepoError(
      'NO_KEY',
      `${where} has ${found.length} secret keys${key === undefined ? '' : ` for ${key}`}; name one by its fingerprint: ${found.join(', ')}`,
    );
  }
  return fingerprint;
}

function gpg(home: string | undefined, args: readonly string[]): Call {
  const terminal = process.env['GPG_TTY'];
  const ownHome = process.env['GNUPGHOME'];
  return {
    program: 'gpg',
    package: 'gpg gpg-agent',
    args: [...(home === undefined ? [] : [`--homedir=${home}`]), '--batch', '--quiet', ...args],
    env: {
      ...(terminal === undefined ? {} : { GPG_TTY: terminal }),
      ...(ownHome === undefined ? {} : { GNUPGHOME: ownHome }),
    },
  };
}
