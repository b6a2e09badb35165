import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RepoError } from '../errors.js';
import { lastLine, output, run } from '../program.js';

/** A public key of a file of keys. */
export interface PublicKey {
  readonly fingerprint: string; // 40 upper-case hexadecimal digits, more for newer keys
  readonly algorithm: number; // RFC 4880 §9.1: 1 RSA, 17 DSA, 22 EdDSA
  readonly created: number; // seconds
  readonly owner: string; // the first user id
}

/** The public keys of an armored file, in order. Throws RepoError NO_KEY when there are none; `where` names the file. */
export async function readKeys(armored: string, where: string): Promise<PublicKey[]> {
  return inHome(async (home) => {
    const file = path.join(home, 'keys.asc');
    await writeFile(file, armored);
    const { stdout } = await run(gpg(home, ['--with-colons', '--show-keys', file]));
    const keys: PublicKey[] = [];
    for (const line of stdout.split('\n')) {
      const fields = line.split(':');
      const last = keys.at(-1);
      if (fields[0] === 'pub')
        keys.push({ fingerprint: '', algorithm: Number(fields[3]), created: Number(fields[5]), owner: '' });
      else if (last !== undefined && fields[0] === 'fpr' && last.fingerprint === '')
        keys[keys.length - 1] = { ...last, fingerprint: fields[9] ?? '' };
      else if (last !== undefined && fields[0] === 'uid' && last.owner === '')
        keys[keys.length - 1] = { ...last, owner: unescaped(fields[9] ?? '') };
    }
    if (keys.length === 0)
      throw new RepoError(
        'NO_KEY',
        `${where}: no public key in it; export one with: gpg --armor --export KEY`,
      );
    return keys;
  });
}

/** GnuPG writes `:` and control characters of a user id as \xNN. */
function unescaped(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** The digests that a signature of metadata may be made over (RFC 4880 §9.4): what create-iso accepts. */
const STRONG_DIGESTS: Readonly<Record<number, string>> = {
  8: 'SHA256',
  9: 'SHA384',
  10: 'SHA512',
  11: 'SHA224',
};
const WEAK_DIGESTS: Readonly<Record<number, string>> = { 1: 'MD5', 2: 'SHA1', 3: 'RIPEMD160' };

/** What is known of a signature that was found good. */
export interface GoodSignature {
  readonly fingerprint: string; // of the primary key
  readonly digest: string; // SHA256 …
}

/**
 * Checks a detached armored signature of `signed` by one of the keys in the armored text `keys`. Throws RepoError
 * BAD_SIGNATURE with what an installer would fail at; `where` names the signature.
 */
export async function verifyDetached(
  signed: Buffer,
  signature: Buffer,
  keys: string,
  where: string,
): Promise<GoodSignature> {
  if (!/^-----BEGIN PGP SIGNATURE-----/m.test(signature.toString('latin1'))) {
    throw new RepoError(
      'BAD_SIGNATURE',
      `${where}: not an armored signature; make it with gpg --armor --detach-sign`,
    );
  }
  return inHome(async (home) => {
    const [ring, data, detached] = ['keys.gpg', 'data', 'data.asc'].map((name) => path.join(home, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(data, signed);
    await writeFile(detached, signature);
    await writeFile(`${ring}.asc`, keys);
    await output(gpg(home, ['--output', ring, '--dearmor', `${ring}.asc`]));
    const args = ['--status-fd=1', `--keyring=${ring}`, detached, data];
    const { stdout, stderr } = await run({ program: 'gpgv', args, package: 'gpgv' });
    const status = new Map(
      [...stdout.matchAll(/^\[GNUPG:\] (\w+) ?(.*)$/gm)].map(([, word = '', rest = '']) => [
        word,
        rest.split(' '),
      ]),
    );
    const missing = status.get('NO_PUBKEY')?.[0];
    if (missing !== undefined) {
      throw new RepoError(
        'BAD_SIGNATURE',
        `${where}: made by key ${missing}, which is not the key that the tree lists; list that key or sign again`,
      );
    }
    const valid = status.get('VALIDSIG');
    if (valid === undefined || status.has('BADSIG')) {
      const why = status.has('BADSIG')
        ? 'not a signature of this repomd.xml, which was changed after it was signed'
        : lastLine(stderr);
      throw new RepoError('BAD_SIGNATURE', `${where}: ${why}; sign it again with: rackboot repo sign`);
    }
    const algorithm = Number(valid[7]);
    const digest = STRONG_DIGESTS[algorithm];
    if (digest === undefined) {
      throw new RepoError(
        'BAD_SIGNATURE',
        `${where}: made over ${WEAK_DIGESTS[algorithm] ?? `digest ${String(algorithm)}`}, which is too weak; sign with SHA256 or stronger`,
      );
    }
    return { fingerprint: valid[9] ?? valid[0] ?? '', digest };
  });
}

async function inHome<T>(body: (home: string) => Promise<T>): Promise<T> {
  const home = await mkdtemp(path.join(tmpdir(), 'rackboot-gpg-'));
  try {
    return await body(home);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** gpg for what needs no secret key, in a home of its own: it starts no agent. */
function gpg(home: string, args: readonly string[]): Parameters<typeof run>[0] {
  return {
    program: 'gpg',
    package: 'gpg',
    args: [`--homedir=${home}`, '--batch', '--no-options', '--quiet', ...args],
  };
}
