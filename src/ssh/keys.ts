import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import ssh2, { type ParsedKey } from 'ssh2';
import { codeOf } from '../errors.js';
import { SshError } from './errors.js';
import type { KnownHostsFile } from './known-hosts.js';

/** Where ssh looks for keys of its user, in its order (ssh(1), -i). */
const CUSTOMARY_KEYS = ['id_rsa', 'id_ecdsa', 'id_ed25519'];

/**
 * The private keys in `files`; without any named, those at ssh's customary places that need no passphrase. Throws
 * SshError BAD_KEY for a named one that cannot be used, and for one that others may read.
 */
export async function readKeys(files: readonly string[] | undefined): Promise<ParsedKey[]> {
  const keys: ParsedKey[] = [];
  for (const file of files ?? CUSTOMARY_KEYS.map(besideKnownHosts)) {
    const text = await readFile(file).catch((error: unknown) => {
      if (files === undefined) return undefined;
      throw new SshError(
        'BAD_KEY',
        `${file}: cannot be read (${codeOf(error) ?? 'unknown error'}); name an ssh key`,
        {
          cause: error,
        },
      );
    });
    if (text === undefined) continue;
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0)
      throw new SshError('BAD_KEY', `${file}: others may read this private key; run: chmod 600 ${file}`);
    const parsed = ssh2.utils.parseKey(text);
    const [key] = Array.isArray(parsed) ? (parsed as ParsedKey[]) : [parsed];
    if (key !== undefined && !(key instanceof Error) && key.isPrivateKey()) keys.push(key);
    else if (files !== undefined) throw unusable(file, key);
  }
  return keys;
}

function unusable(file: string, key: ParsedKey | Error | undefined): SshError {
  const locked = key instanceof Error && /encrypted|passphrase/i.test(key.message);
  return new SshError(
    'BAD_KEY',
    locked
      ? `${file}: is locked by a passphrase; give it to an agent (ssh-add ${file}) and leave it out here`
      : `${file}: no private key that ssh2 reads; make one with: ssh-keygen -t ed25519`,
  );
}

/** The known_hosts files `files`, else the user's and the machine's. Those that are not there say nothing. */
export async function readKnownHosts(files: readonly string[] | undefined): Promise<KnownHostsFile[]> {
  const names = files ?? [besideKnownHosts('known_hosts'), '/etc/ssh/ssh_known_hosts'];
  const read: KnownHostsFile[] = [];
  for (const name of names) {
    const text = await readFile(name, 'utf8').catch(() => undefined);
    if (text !== undefined) read.push({ name, text });
  }
  return read;
}

/** A file of the user's own directory for ssh. */
export const besideKnownHosts = (name: string): string => path.join(homedir(), '.ssh', name);
