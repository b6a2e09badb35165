import { createHash } from 'node:crypto';
import type { IsoImage } from '../../image/iso/reader.js';
import type { IsoSource } from '../../image/iso/source.js';
import type { IsoNode } from '../../image/iso/tree.js';
import { collect } from '../../image/chunks.js';
import { urlBelow } from '../../repo/open-tree.js';
import { TREEINFO } from '../../repo/treeinfo.js';
import { fetchError, webClient, type WebClient } from '../../repo/web.js';
import { OsimageError } from '../errors.js';
import { openDisc } from './iso.js';
import type { Source, SourceFile } from './source.js';
import { namesOfTree, type TreeReader } from './tree-names.js';

/** A name that no tree has. */
const NOWHERE = 'rackboot-asks-for-what-is-not-there';
/** Connections to one server at a time. */
const CONNECTIONS = 4;

/**
 * Opens an installer on a web server: an ISO where the URL ends in `.iso`, else the tree below it. A tree is not listed:
 * its files are those that its .treeinfo, its repositories and its menus name. Throws OsimageError BAD_SOURCE, RepoError
 * FETCH_FAILED, BAD_METADATA, ImageError.
 */
export async function openWeb(url: string): Promise<Source> {
  const client = webClient(CONNECTIONS);
  try {
    return /\.iso$/i.test(new URL(url).pathname)
      ? await openWebDisc(client, url)
      : await openWebTree(client, url);
  } catch (error) {
    client.close();
    throw error;
  }
}

/** `url` as messages and histories show it: without credentials and final slashes. */
export function shownUrl(url: string): string {
  const bare = new URL(url);
  [bare.username, bare.password] = ['', ''];
  return bare.href.replace(/\/+$/, '');
}

/** How many bytes the server has at `url`; undefined when it has none. */
async function sizeAt(client: WebClient, url: string): Promise<number | undefined> {
  const answer = await client.get(url, { range: 'bytes=0-0' });
  // A whole file is not waited for; anything else is short, and the connection serves on.
  if (answer.status === 200) answer.discard();
  else for await (const chunk of answer.body) void chunk;
  const { 'content-range': range, 'content-length': length } = answer.headers;
  if (answer.status === 206) return Number(/\/(\d+)$/.exec(range ?? '')?.[1]);
  if (answer.status === 416) return 0; // an empty file has no first byte
  return answer.status === 200 ? Number(length) : undefined;
}

async function openWebTree(client: WebClient, url: string): Promise<Source> {
  const where = shownUrl(url);
  const open = async function* (path: string): AsyncGenerator<Buffer> {
    const below = urlBelow(url, path);
    const answer = await client.get(below);
    if (answer.status !== 200) {
      answer.discard();
      throw new OsimageError(
        'BAD_SOURCE',
        `${where}/${path}: the server answers ${answer.status}; import again once it has the whole tree`,
      );
    }
    try {
      yield* answer.body;
    } catch (error) {
      throw fetchError(below, error);
    }
  };
  const tree: TreeReader = {
    where,
    size: async (path) => {
      const size = await sizeAt(client, urlBelow(url, path));
      if (size === undefined || Number.isSafeInteger(size)) return size;
      throw new OsimageError(
        'BAD_SOURCE',
        `${where}/${path}: the server does not say how long it is; download the tree and import the copy`,
      );
    },
    read: open,
  };
  await tree.size(TREEINFO); // a server that does not answer is told of by a file that people know
  if ((await tree.size(NOWHERE)) !== undefined) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${where}: the server has an answer for any name, so what is there cannot be told; download the tree and import the copy`,
    );
  }
  const names = await namesOfTree(tree);
  if (names.length === 0) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${where}: no file of an installer there (.treeinfo, boot menus, kernels); give the URL of the directory that holds them`,
    );
  }
  const files = names.map(({ path, size, sha256 }): SourceFile => ({
    path,
    size,
    where: `${where}/${path}`,
    read: () => checked(open(path), { where: `${where}/${path}`, size, sha256 }),
  }));
  return {
    kind: 'web',
    files,
    notes: [
      `${where}: ${files.length} files, which its menus, .treeinfo and repositories name; others are not known`,
    ],
    close: () => Promise.resolve(client.close()),
  };
}

/** `bytes`, which have to be of that size and digest; what is not is found at the end. */
async function* checked(
  bytes: AsyncIterable<Buffer>,
  expected: { readonly where: string; readonly size: number; readonly sha256?: string | undefined },
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    size += chunk.length;
    yield chunk;
  }
  const what =
    size !== expected.size
      ? `${size} bytes came instead of ${expected.size}`
      : expected.sha256 !== undefined && hash.digest('hex') !== expected.sha256
        ? 'its SHA-256 is not the one that the repository lists'
        : undefined;
  if (what !== undefined)
    throw new OsimageError(
      'BAD_SOURCE',
      `${expected.where}: ${what}; import again once the server has it right`,
    );
}

/** `length` zero bytes. */
function* zeros(length: number): Generator<Buffer> {
  const MOST = 1024 * 1024;
  for (let at = 0; at < length; at += MOST) yield Buffer.alloc(Math.min(MOST, length - at));
}

async function openWebDisc(client: WebClient, url: string): Promise<Source> {
  const where = shownUrl(url);
  const size = await sizeAt(client, url);
  if (size === undefined || !Number.isSafeInteger(size)) {
    throw new OsimageError('BAD_SOURCE', `${where}: no such ISO on the server; check the URL`);
  }
  const range = async function* (start: number, end: number): AsyncGenerator<Buffer> {
    const answer = await client.get(url, { range: `bytes=${start}-${end - 1}` });
    if (answer.status !== 206) {
      answer.discard();
      throw new OsimageError(
        'BAD_SOURCE',
        `${where}: the server sends no parts of files; download the ISO and import the copy`,
      );
    }
    let sent = 0;
    try {
      for await (const chunk of answer.body) {
        sent += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw fetchError(url, error);
    }
    if (sent !== end - start)
      throw new OsimageError(
        'BAD_SOURCE',
        `${where}: ${sent} bytes came instead of ${end - start}; import again`,
      );
  };
  const bytes: IsoSource = {
    size,
    read: (offset, length) =>
      length === 0 ? Promise.resolve(Buffer.alloc(0)) : collect(range(offset, offset + length)),
  };
  return openDisc({
    where,
    bytes,
    async *readFile(_image: IsoImage, node: IsoNode) {
      for (const { offset, length } of node.runs ?? node.extents)
        yield* offset === null ? zeros(length) : range(offset, offset + length);
    },
    close: () => Promise.resolve(client.close()),
  });
}
