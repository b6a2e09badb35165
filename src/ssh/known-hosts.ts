import { createHmac, timingSafeEqual } from 'node:crypto';

/** What known_hosts files say of a key that a host showed. */
export type HostKeyVerdict =
  | { readonly kind: 'trusted' }
  | { readonly kind: 'unknown' } // no file has the host with a key of this type
  | { readonly kind: 'changed'; readonly where: string } // the host has another key of this type there, FILE:LINE
  | { readonly kind: 'revoked'; readonly where: string };

/** A known_hosts file. */
export interface KnownHostsFile {
  readonly name: string; // how messages name it
  readonly text: string;
}

interface HostKeyLine {
  readonly where: string;
  readonly revoked: boolean;
  readonly key: string; // base64
  readonly type: string;
}

/** The port that known_hosts files leave out. */
const SSH_PORT = 22;

/** What `files` say of `key`, which the host at `host` and `port` showed. Pure. */
export function judgeHostKey(
  files: readonly KnownHostsFile[],
  { host, port }: { readonly host: string; readonly port: number },
  key: Buffer,
): HostKeyVerdict {
  const lines = linesOf(files, host, port);
  const shown = key.toString('base64');
  const same = lines.filter((line) => line.key === shown);
  const [revoked] = same.filter((line) => line.revoked);
  if (revoked !== undefined) return { kind: 'revoked', where: revoked.where };
  if (same.length > 0) return { kind: 'trusted' };
  const type = keyType(key);
  const [other] = lines.filter((line) => !line.revoked && line.type === type);
  return other === undefined ? { kind: 'unknown' } : { kind: 'changed', where: other.where };
}

/** The types of the keys that `files` have of a host: what to ask it for first. */
export function knownKeyTypes(
  files: readonly KnownHostsFile[],
  { host, port }: { readonly host: string; readonly port: number },
): string[] {
  const lines = linesOf(files, host, port).filter(({ revoked }) => !revoked);
  return [...new Set(lines.map(({ type }) => type))];
}

/** The type that a public key says it is of: the string that its blob begins with (RFC 4253 §6.6). */
export function keyType(key: Buffer): string {
  return key.length < 4 ? '' : key.toString('latin1', 4, 4 + key.readUInt32BE(0));
}

/** The lines about a host (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), but for those about authorities. */
function linesOf(files: readonly KnownHostsFile[], host: string, port: number): HostKeyLine[] {
  return files.flatMap(({ name, text }) =>
    text.split('\n').flatMap((line, at): HostKeyLine[] => {
      const words = line.trim().split(/\s+/);
      const marker = words[0]?.startsWith('@') === true ? words.shift() : undefined;
      const [hosts = '', type = '', key = ''] = words;
      if (hosts === '' || hosts.startsWith('#') || key === '') return [];
      if (marker !== undefined && marker !== '@revoked') return [];
      if (!isAbout(hosts, host.toLowerCase(), port)) return [];
      return [{ where: `${name}:${at + 1}`, revoked: marker !== undefined, type, key }];
    }),
  );
}

function isAbout(hosts: string, host: string, port: number): boolean {
  const name = port === SSH_PORT ? host : `[${host}]:${port}`;
  if (hosts.startsWith('|')) return isHashOf(hosts, name);
  const patterns = hosts.split(',');
  const matches = (pattern: string): boolean => toExpression(pattern.toLowerCase()).test(name);
  if (patterns.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1)))) return false;
  return patterns.some((pattern) => !pattern.startsWith('!') && matches(pattern));
}

/** Whether `hashed`, `|1|salt|hash`, stands for `name`: HMAC-SHA-1 with the salt as its key. */
function isHashOf(hashed: string, name: string): boolean {
  const [, version, salt = '', hash = ''] = hashed.split('|');
  if (version !== '1') return false;
  const wanted = Buffer.from(hash, 'base64');
  const found = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
  return wanted.length === found.length && timingSafeEqual(wanted, found);
}

/** `*` and `?` are wildcards, brackets are not. */
function toExpression(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
