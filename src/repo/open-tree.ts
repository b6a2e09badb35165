import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf } from '../errors.js';
import { RepoError } from './errors.js';
import { filesBelow, type RepoFiles } from './files.js';
import { fetchError, webClient, type WebAnswer, type WebClient } from './web.js';

/** A tree that is open; closed once. */
export interface OpenTree {
  readonly files: RepoFiles;
  close(): void;
}

/**
 * The tree at an address: a directory, or a file://, http:// or https:// URL. Throws RepoError BAD_SOURCE for any other;
 * reading it throws RepoError FETCH_FAILED, NO_ACCESS.
 */
export function openTree(address: string, connections = 4): OpenTree {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase();
  if (scheme === undefined) return { files: filesBelow(path.resolve(address)), close: () => undefined };
  if (scheme === 'file') return { files: filesBelow(pathOfUrl(address)), close: () => undefined };
  if ((scheme !== 'http' && scheme !== 'https') || !URL.canParse(address))
    throw new RepoError('BAD_SOURCE', `${address}: not a directory, nor a file://, http:// or https:// URL`);
  const client = webClient(connections);
  return { files: webFiles(client, address), close: () => client.close() };
}

function pathOfUrl(address: string): string {
  try {
    return fileURLToPath(address);
  } catch (cause) {
    throw new RepoError(
      'BAD_SOURCE',
      `${address}: a file:// URL has three slashes and an absolute path (${codeOf(cause) ?? ''})`,
      {
        cause,
      },
    );
  }
}

/** The tree below a URL. */
export function webFiles(client: WebClient, url: string): RepoFiles {
  return {
    where: withoutCredentials(url).replace(/\/+$/, ''),
    async read(href) {
      const answer = await client.get(urlBelow(url, href));
      if (answer.status === 200) return whole(answer);
      answer.discard();
      return undefined;
    },
  };
}

async function* whole({ body, url }: WebAnswer): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw fetchError(url, error);
  }
}

function withoutCredentials(url: string): string {
  const bare = new URL(url);
  [bare.username, bare.password] = ['', ''];
  return bare.href;
}

/** The URL of a file below `url`. A plus is encoded as yum and dnf do: servers that read forms would take it for a blank. */
export function urlBelow(url: string, href: string): string {
  const base = new URL(url);
  const below = href.split('/').map(encodeURIComponent).join('/');
  base.pathname = `${base.pathname.replace(/\/+$/, '')}/${below}`;
  return base.href;
}
