import { createHash } from 'node:crypto';
import { messageOf } from '../errors.js';
import { findNode, readNode, type IsoImage } from '../image/iso/reader.js';
import { readRange } from '../store/extents.js';
import type { GenerationRecord, Store } from '../store/records.js';
import { OsimageError } from './errors.js';
import { ISO_FACTS, placedArtifacts, type IsoStatement } from './iso.js';
import { artifactMap, manifestOf, shortId } from './manifest.js';
import type { Artifact } from './types.js';

/** An artifact as one way of getting at it finds it. */
export interface PlacedArtifact {
  readonly kind: 'files' | 'tree';
  readonly artifact: Artifact;
  readonly isoPath: string;
}

/** A place that is to serve a generation's bytes: the store, an ISO, a server. */
export interface VerifySource {
  readonly name: string; // `store`, `iso`, `http`
  /** The artifact's bytes there; undefined when it is meant not to be there. Throws when it is missing or cannot be read. */
  read(placed: PlacedArtifact): Promise<AsyncIterable<Buffer> | undefined>;
}

/** What one source has of one artifact. */
export type Finding =
  | { readonly state: 'same' }
  | { readonly state: 'left-out' }
  | { readonly state: 'different'; readonly detail: string };

export interface VerifiedArtifact {
  readonly kind: 'files' | 'tree';
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly found: Readonly<Record<string, Finding>>; // by source
}

/** Reads every boot file, archive and tree file of a generation from every source and compares the digests. */
export async function verifyGeneration(
  record: GenerationRecord,
  sources: readonly VerifySource[],
  onProgress?: (path: string, done: number, total: number) => void,
): Promise<VerifiedArtifact[]> {
  const placed = placedArtifacts(manifestOf(record));
  const verified: VerifiedArtifact[] = [];
  for (const item of placed) {
    onProgress?.(item.artifact.path, verified.length, placed.length);
    const found: Record<string, Finding> = {};
    for (const source of sources) found[source.name] = await check(source, item);
    const { path, size, sha256 } = item.artifact;
    verified.push({ kind: item.kind, path, size, sha256, found });
  }
  return verified;
}

async function check(source: VerifySource, placed: PlacedArtifact): Promise<Finding> {
  try {
    const bytes = await source.read(placed);
    if (bytes === undefined) return { state: 'left-out' };
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of bytes) {
      hash.update(chunk);
      size += chunk.length;
    }
    const digest = hash.digest('hex');
    if (digest === placed.artifact.sha256) return { state: 'same' };
    return { state: 'different', detail: `sha256 ${digest}, ${size} bytes` };
  } catch (error) {
    return { state: 'different', detail: messageOf(error) };
  }
}

/** The store itself: the extents, read back. */
export function storeSource(store: Store): VerifySource {
  return {
    name: 'store',
    async read({ artifact }) {
      const map = await artifactMap(store.blobs, artifact);
      return readRange(map, store.blobs, 0, map.size);
    },
  };
}

/** An ISO image, which must be one of this generation. Throws OsimageError BAD_SOURCE when it is of another. */
export async function isoSource(image: IsoImage, record: GenerationRecord): Promise<VerifySource> {
  const statement = await readStatement(image);
  if (statement?.generation !== record.id) {
    const of =
      statement === undefined
        ? 'was not made by rackboot'
        : `holds ${statement.osimage}@${shortId(statement.generation)}`;
    throw new OsimageError(
      'BAD_SOURCE',
      `this ISO ${of}, not ${record.osimage}@${shortId(record.id)}; make it again with: rackboot image iso ${record.osimage} -o FILE`,
    );
  }
  return {
    name: 'iso',
    async read({ kind, isoPath }) {
      if (kind === 'tree' && statement.netinstall) return undefined;
      return readNode(image, findNode(image, isoPath));
    },
  };
}

async function readStatement(image: IsoImage): Promise<IsoStatement | undefined> {
  const node = image.nodes.find((candidate) => candidate.path === ISO_FACTS);
  if (node === undefined || node.kind !== 'file' || node.size > 4096) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of readNode(image, node)) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as IsoStatement;
}

/** A running server at `url` (no final slash): the URLs that boot scripts hand out. */
export function httpSource(url: string, record: GenerationRecord): VerifySource {
  return {
    name: 'http',
    async read({ kind, artifact }) {
      const path = artifact.path.split('/').map(encodeURIComponent).join('/');
      const response = await fetch(`${url}/images/${record.osimage}@${record.id}/${kind}/${path}`, {
        redirect: 'error',
      });
      if (!response.ok || response.body === null)
        throw new OsimageError('BAD_SOURCE', `HTTP status ${response.status}`);
      const etag = response.headers.get('etag');
      if (etag !== `"${artifact.sha256}"`)
        throw new OsimageError('BAD_SOURCE', `ETag ${etag ?? 'missing'} instead of the file's SHA-256`);
      return readBody(response.body);
    },
  };
}

async function* readBody(body: ReadableStream<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of body) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
