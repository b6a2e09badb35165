import { createHash } from 'node:crypto';
import ssh2, { type AnyAuthMethod, type Client, type ServerHostKeyAlgorithm } from 'ssh2';
import { messageOf } from '../errors.js';
import { SshError } from './errors.js';
import { readKeys, readKnownHosts } from './keys.js';
import { judgeHostKey, keyType, knownKeyTypes, type HostKeyVerdict } from './known-hosts.js';

/** A machine that sshd answers on. */
export interface SshTarget {
  readonly user: string;
  readonly host: string;
  readonly port: number;
}

/** What a connection is made with, where it is not what ssh uses by itself. */
export interface SshOptions {
  readonly keys?: readonly string[]; // files of private keys, else the user's
  readonly knownHosts?: readonly string[]; // files, else the user's and the machine's
  readonly agent?: string; // the socket of an agent, which is asked first
  readonly timeoutMs?: number; // until the user is let in
  readonly signal?: AbortSignal; // ends the attempt; nothing of a connection that is there
}

const TIMEOUT = 20_000;

/** What to ask a host for that is known by a key of a type: RSA keys sign in several ways (RFC 8332). */
const ALGORITHMS: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/**
 * A connection to `target`, whose host key known_hosts has, as a user that a key lets in. Throws SshError. The caller
 * ends it, and hears its later errors.
 */
export async function connectSsh(target: SshTarget, options: SshOptions = {}): Promise<Client> {
  const files = await readKnownHosts(options.knownHosts);
  const known = knownKeyTypes(files, target).flatMap((type) => ALGORITHMS[type] ?? []);
  const methods = await methodsOf(target, options);
  const client = new ssh2.Client();
  let refused: SshError | undefined;
  const abort = (): void => void client.destroy();
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    options.signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve);
      client.once('error', reject);
      client.once('close', () => reject(new Error('the connection was closed')));
      client.connect({
        host: target.host,
        port: target.port,
        username: target.user,
        readyTimeout: options.timeoutMs ?? TIMEOUT,
        keepaliveInterval: 15_000,
        authHandler: methods,
        // What is known comes first: a host that is known by one key shows that one.
        algorithms: { serverHostKey: { append: [], remove: [...known], prepend: [...known] } },
        hostVerifier: (key: Buffer): boolean => {
          refused = refusal(target, key, judgeHostKey(files, target, key));
          return refused === undefined;
        },
      });
    });
    return client;
  } catch (error) {
    client.end();
    client.on('error', () => undefined);
    throw refused ?? explained(target, methods, error);
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

/** `user@host`, with the port where it is not ssh's own. */
export const shownTarget = ({ user, host, port }: SshTarget): string =>
  `${user}@${host.includes(':') ? `[${host}]` : host}${port === 22 ? '' : `:${port}`}`;

async function methodsOf({ user }: SshTarget, { agent, keys }: SshOptions): Promise<AnyAuthMethod[]> {
  const parsed = await readKeys(keys);
  return [
    ...(agent === undefined ? [] : [{ type: 'agent' as const, username: user, agent }]),
    ...parsed.map((key) => ({ type: 'publickey' as const, username: user, key })),
  ];
}

function refusal(target: SshTarget, key: Buffer, verdict: HostKeyVerdict): SshError | undefined {
  if (verdict.kind === 'trusted') return undefined;
  const { host, port } = target;
  const shown = `${keyType(key)} SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
  if (verdict.kind === 'unknown') {
    return new SshError(
      'UNKNOWN_HOST',
      `${shownTarget(target)}: its host key is in no known_hosts file (${shown}); compare that with the machine's, then: ssh-keyscan ${port === 22 ? '' : `-p ${port} `}${host} >> ~/.ssh/known_hosts`,
    );
  }
  const what = verdict.kind === 'revoked' ? 'was revoked' : 'is not the one that is known';
  return new SshError(
    'HOST_KEY_CHANGED',
    `${shownTarget(target)}: its host key ${what} in ${verdict.where} (it shows ${shown}); this may be another machine; if it was installed anew, take that line out`,
  );
}

function explained(target: SshTarget, methods: readonly AnyAuthMethod[], error: unknown): SshError {
  const level =
    typeof error === 'object' && error !== null && 'level' in error ? String(error.level) : undefined;
  const where = shownTarget(target);
  if (level === 'client-authentication') {
    return new SshError(
      'ACCESS_DENIED',
      methods.length === 0
        ? `${where}: there is no key to log in with; make one with ssh-keygen, or start an agent`
        : `${where}: none of ${methods.length} keys is let in; add one to authorized_keys there with: ssh-copy-id`,
      { cause: error },
    );
  }
  return new SshError(
    'UNREACHABLE',
    `${where}: no connection by ssh (${messageOf(error)}); check that sshd answers there`,
    { cause: error },
  );
}
