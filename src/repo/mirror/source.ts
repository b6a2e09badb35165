import { open, readdir } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import pLimit from 'p-limit';
import { codeOf } from '../../errors.js';
import { collect } from '../../image/chunks.js';
import { filesBelow, noAccess, type RepoFiles } from '../files.js';
import { urlBelow, webFiles } from '../open-tree.js';
import { isInside } from '../repomd.js';
import { fetchError, StatusError, type WebClient } from '../web.js';

/** What a source sends of a file. */
export type Sent =
  | {
      readonly kind: 'bytes';
      readonly offset: number; // where they begin: as asked, or 0
      readonly modified?: number; // seconds
      readonly validator?: string; // what a later request may give as `unless`
      readonly body: AsyncIterable<Buffer>;
    }
  | { readonly kind: 'same' } // its validator is still the one that was given
  | { readonly kind: 'missing' };

/** A tree that is mirrored. */
export interface MirrorSource {
  readonly files: RepoFiles;
  /** The URL of what lies at a path, for other programs. */
  urlOf(href: string): string;
  /** Every file below, or undefined where the server lists no directories. Directories that `leavesOut` are passed over. */
  list(leavesOut: (href: string) => boolean): Promise<readonly string[] | undefined>;
  /** A file from `offset` on, unless its validator is still `unless`. Throws RepoError FETCH_FAILED. */
  fetch(href: string, request: { readonly offset: number; readonly unless?: string }): Promise<Sent>;
}

/** Where a mirror keeps what is its own, in the destination: never a file of a source. */
export const isOwn = (href: string): boolean =>
  href.split('/').some((part) => part.startsWith('.rackboot-mirror'));

/** The tree in a directory. */
export function localSource(dir: string): MirrorSource {
  const files = filesBelow(dir);
  return {
    files,
    urlOf: (href) => pathToFileURL(path.join(dir, href)).href,
    async list(leavesOut) {
      const found: string[] = [];
      const walk = async (below: string): Promise<void> => {
        for (const entry of await readdir(path.join(dir, below), { withFileTypes: true })) {
          const href = below + entry.name;
          if (entry.isDirectory()) {
            if (!leavesOut(`${href}/`)) await walk(`${href}/`);
          } else if (!isOwn(href)) found.push(href);
        }
      };
      await walk('').catch((error: unknown) => {
        throw noAccess(dir, error);
      });
      return found.sort();
    },
    async fetch(href, { offset, unless }) {
      const file = path.join(dir, href);
      try {
        const handle = await open(file);
        const info = await handle.stat();
        const modified = Math.floor(info.mtimeMs / 1000);
        const validator = `${info.ino}-${info.mtimeMs}-${info.ctimeMs}-${info.size}`;
        if (!info.isFile() || validator === unless) {
          await handle.close();
          return { kind: info.isFile() ? 'same' : 'missing' };
        }
        const start = offset > info.size ? 0 : offset;
        const body = handle.createReadStream({ start, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
        return { kind: 'bytes', offset: start, modified, validator, body };
      } catch (error) {
        if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return { kind: 'missing' };
        throw noAccess(file, error);
      }
    },
  };
}

const MAX_DIRECTORIES = 20_000;
const LISTINGS = 4; // at one time

/** The tree below a URL. */
export function webSource(client: WebClient, url: string): MirrorSource {
  return {
    files: webFiles(client, url),
    urlOf: (href) => urlBelow(url, href),
    async list(leavesOut) {
      const limit = pLimit(LISTINGS);
      const found: string[] = [];
      let directories = 0;
      const walk = async (below: string): Promise<boolean> => {
        const names = await limit(() => listing(client, below === '' ? url : urlBelow(url, below)));
        if (names === undefined) return false;
        if (++directories > MAX_DIRECTORIES)
          throw fetchError(
            url,
            new Error(`more than ${MAX_DIRECTORIES} directories below it; mirror a part of it`),
          );
        const hrefs = names.map((name) => below + name).filter((href) => !isOwn(href));
        found.push(...hrefs.filter((href) => !href.endsWith('/')));
        await Promise.all(hrefs.filter((href) => href.endsWith('/') && !leavesOut(href)).map(walk));
        return true;
      };
      return (await walk('')) ? found.sort() : undefined;
    },
    async fetch(href, { offset, unless }) {
      const address = urlBelow(url, href);
      const answer = await client.get(address, {
        ...(offset === 0 ? {} : { range: `bytes=${offset}-` }),
        ...(unless === undefined
          ? {}
          : { [unless.includes('"') ? 'if-none-match' : 'if-modified-since']: unless }),
      });
      const modified = Date.parse(answer.headers['last-modified'] ?? '') / 1000;
      const validator = validatorOf(answer.headers);
      const facts = {
        ...(Number.isFinite(modified) ? { modified } : {}),
        ...(validator === undefined ? {} : { validator }),
      };
      const start = Number(/^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1]);
      if (answer.status === 200) return { kind: 'bytes', offset: 0, body: answer.body, ...facts };
      if (answer.status === 206 && start === offset)
        return { kind: 'bytes', offset, body: answer.body, ...facts };
      answer.discard();
      if (answer.status === 304) return { kind: 'same' };
      // What was kept of it is longer than the file is now, or the server answers another range: from its beginning.
      return offset > 0 && answer.status !== 404 ? this.fetch(href, { offset: 0 }) : { kind: 'missing' };
    },
  };
}

/**
 * An answer’s ETag (which has quotes), else its Last-Modified; undefined where the file was modified in the second before it
 * was sent, since servers make both from whole seconds (RFC 9110 § 8.8.2.2).
 */
function validatorOf(headers: IncomingHttpHeaders): string | undefined {
  const { etag, date, 'last-modified': modified } = headers;
  if (modified !== undefined && Date.parse(date ?? '') - Date.parse(modified) < 1000) return undefined;
  return etag?.includes('"') === true ? etag : modified;
}

/** The names that a server’s page of a directory links to, directories with a final slash; undefined for no such page. */
async function listing(client: WebClient, url: string): Promise<string[] | undefined> {
  const address = new URL(url);
  if (!address.pathname.endsWith('/')) address.pathname += '/';
  const answer = await client.get(address.href).catch((error: unknown) => {
    if (error instanceof StatusError && error.status === 403) return undefined; // listing is not allowed
    throw error;
  });
  if (answer === undefined) return undefined;
  if (answer.status !== 200 || !/^text\/html\b/.test(answer.headers['content-type'] ?? '')) {
    answer.discard();
    return undefined;
  }
  const page = (await collect(answer.body)).toString('utf8');
  const base = new URL(answer.url);
  return namesLinked(page, base);
}

/** The names below `base` that a page links to; pure. */
export function namesLinked(page: string, base: URL): string[] {
  const names = new Set<string>();
  for (const [, double, single] of page.matchAll(/<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)')/gi)) {
    const text = (double ?? single ?? '').replaceAll('&amp;', '&');
    if (text.startsWith('?') || !URL.canParse(text, base.href)) continue;
    const link = new URL(text, base);
    if (link.origin !== base.origin || link.search !== '' || !link.pathname.startsWith(base.pathname))
      continue;
    const name = decoded(link.pathname.slice(base.pathname.length));
    if (name !== undefined && /^[^/]+\/?$/.test(name) && isInside(name.replace(/\/$/, ''))) names.add(name);
  }
  return [...names].sort();
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
