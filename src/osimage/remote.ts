import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Client, SFTPWrapper, Stats } from 'ssh2';
import { messageOf } from '../errors.js';
import type { SshOptions, SshTarget } from '../ssh/connection.js';
import { OsimageError } from './errors.js';

/** How other machines are reached. */
export type RemoteOptions = SshOptions;

/** A file on another machine, reached by ssh. */
export interface RemoteFile {
  readonly target: SshTarget;
  readonly path: string;
  readonly where: string; // how messages and histories name it
}

/** Bytes asked for or sent at a time: what OpenSSH takes in one packet. */
const PIECE = 255 * 1024;

/** The file that `text` means where it is USER@HOST:/PATH or ssh://[USER@]HOST[:PORT]/PATH; else undefined. */
export function remoteFile(text: string): RemoteFile | undefined {
  const [, user, host, path] = /^([^/@:\s]+)@([^/@:\s[]+|\[[0-9a-fA-F:.]+\]):(.+)$/s.exec(text) ?? [];
  if (user !== undefined && host !== undefined && path !== undefined)
    return { target: { user, host: bare(host), port: 22 }, path, where: text };
  if (!text.startsWith('ssh://')) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const [named, place] = [decoded(url?.username), decoded(url?.pathname)];
  if (
    !url?.hostname ||
    named === undefined ||
    place === undefined ||
    place.length < 2 ||
    url.password !== ''
  ) {
    throw new OsimageError(
      'BAD_SOURCE',
      'no such URL of ssh; write it as ssh://USER@HOST:PORT/PATH, without a password, which ssh takes from no URL',
    );
  }
  return {
    target: {
      user: named === '' ? userInfo().username : named,
      host: bare(url.hostname),
      port: url.port === '' ? 22 : Number(url.port),
    },
    path: place,
    where: text,
  };
}

/** A part of a URL as it is meant; undefined for what was not encoded as one. */
function decoded(part: string | undefined): string | undefined {
  try {
    return part === undefined ? undefined : decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

const bare = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

/**
 * The bytes of `file`; `onSize` hears how many there are. Throws SshError, and OsimageError BAD_SOURCE for what is wrong
 * with the file.
 */
export async function* readRemote(
  file: RemoteFile,
  options: RemoteOptions = {},
  onSize: (size: number) => void = () => undefined,
): AsyncGenerator<Buffer> {
  const client = await connect(file, options);
  const failure = failureOf(client);
  try {
    const sftp = await openSftp(client, file);
    const handle = await asked<Buffer>(file, failure, (done) => sftp.open(file.path, 'r', done));
    onSize((await asked<Stats>(file, failure, (done) => sftp.fstat(handle, done))).size);
    for (let at = 0; ;) {
      const buffer = Buffer.allocUnsafe(PIECE);
      const length = await asked<number>(file, failure, (done) => {
        sftp.read(handle, buffer, 0, PIECE, at, (error, bytes) =>
          // The end of the file is a status of its own (draft-ietf-secsh-filexfer-02 §7).
          error !== undefined && isEnd(error) ? done(undefined, 0) : done(error, bytes),
        );
      });
      if (length === 0) return;
      at += length;
      yield buffer.subarray(0, length);
    }
  } finally {
    client.end();
  }
}

/**
 * Writes `bytes` to `file`, which appears whole or not at all. Without `replace` a file that is there is left alone.
 * Throws SshError, and OsimageError BAD_SOURCE.
 */
export async function writeRemote(
  file: RemoteFile,
  bytes: AsyncIterable<Buffer>,
  { replace, mode, ...options }: RemoteOptions & { readonly replace: boolean; readonly mode: number },
): Promise<void> {
  const client = await connect(file, options);
  const failure = failureOf(client);
  const partial = `${file.path}.partial-${randomBytes(4).toString('hex')}`;
  const ask = <T>(start: (done: Done<T>) => void): Promise<T> => asked(file, failure, start);
  try {
    const sftp = await openSftp(client, file);
    if (!replace) await requireAbsent(sftp, file, failure);
    const handle = await ask<Buffer>((done) => sftp.open(partial, 'wx', { mode }, done));
    try {
      let at = 0;
      for await (const chunk of bytes) {
        for (let from = 0; from < chunk.length; from += PIECE) {
          const piece = chunk.subarray(from, from + PIECE);
          await ask<undefined>((done) => sftp.write(handle, piece, 0, piece.length, at, done));
          at += piece.length;
        }
      }
      await ask<undefined>((done) => sftp.close(handle, done));
      if (!replace) await requireAbsent(sftp, file, failure);
      // Unlike a plain rename of sftp's, that of OpenSSH puts the new file in the old one's place at once.
      await ask<undefined>((done) => sftp.ext_openssh_rename(partial, file.path, done));
    } catch (error) {
      await new Promise<void>((resolve) => {
        failure.catch(() => resolve());
        sftp.unlink(partial, () => resolve());
      });
      throw error;
    }
  } finally {
    client.end();
  }
}

async function requireAbsent(sftp: SFTPWrapper, file: RemoteFile, failure: Promise<never>): Promise<void> {
  const there = await Promise.race([
    new Promise<boolean>((resolve) => sftp.stat(file.path, (error) => resolve(error === undefined))),
    failure,
  ]);
  if (there) throw taken(file.where);
}

/** What is said of a file that is there already. */
export const taken = (where: string): OsimageError =>
  new OsimageError('BAD_SOURCE', `${where}: exists already; give another file, or --force to replace it`);

async function connect({ target }: RemoteFile, options: RemoteOptions): Promise<Client> {
  const { connectSsh } = await import('../ssh/connection.js');
  const agent = options.agent ?? process.env['SSH_AUTH_SOCK'];
  return connectSsh(target, { ...options, ...(agent === undefined || agent === '' ? {} : { agent }) });
}

/** Rejects when the connection is lost; nobody need wait for it. */
function failureOf(client: Client): Promise<never> {
  const failure = new Promise<never>((_resolve, reject) => {
    client.once('error', reject);
    client.once('close', () => reject(new Error('the connection was closed')));
  });
  failure.catch(() => undefined);
  return failure;
}

type Done<T> = (error: Error | null | undefined, result?: T) => void;

/** The answer to one request, or the failure of the connection. */
async function asked<T>(
  { where }: RemoteFile,
  failure: Promise<never>,
  start: (done: Done<T>) => void,
): Promise<T> {
  const answer = new Promise<T>((resolve, reject) => {
    start((error, result) => (error ? reject(error) : resolve(result as T)));
  });
  try {
    return await Promise.race([answer, failure]);
  } catch (error) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${where}: ${messageOf(error).toLowerCase()}; check the path and the rights of that user`,
      { cause: error },
    );
  }
}

async function openSftp(client: Client, { where }: RemoteFile): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.sftp((error, sftp) => {
      if (error === undefined) resolve(sftp);
      else
        reject(
          new OsimageError(
            'BAD_SOURCE',
            `${where}: that machine has no sftp (${messageOf(error)}); turn the subsystem sftp of its sshd on`,
            { cause: error },
          ),
        );
    });
  });
}

/** SSH_FX_EOF. */
const isEnd = (error: Error): boolean => 'code' in error && error.code === 1;
