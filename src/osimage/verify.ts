import { createHash } from 'node:crypto';
import { messageOf } from '../errors.js';
import { findNode, readNode, type IsoImage } from '../image/iso/reader.js';
import type { IsoSource } from '../image/iso/source.js';
import { readRange } from '../store/extents.js';
import type { GenerationRecord, Store } from '../store/records.js';
import { OsimageError } from './errors.js';
import { compareAreas } from './iso-areas.js';
import { placedArtifacts, type PlacedArtifact } from './iso-places.js';
import { artifactMap, manifestOf } from './manifest.js';

/** A place that is to serve a generation's bytes: the store, an ISO, a server. */
export interface VerifySource {
  readonly name: string; // `store`, `iso`, `http`
  /**
   * The artifact's bytes there; `left-out` when it is meant not to be there, `own` when it is meant to differ there. Throws
   * when it is missing or cannot be read.
   */
  read(placed: PlacedArtifact): Promise<AsyncIterable<Buffer> | 'left-out' | 'own'>;
}

/** What one source has of one artifact. */
export type Finding =
  | { readonly state: 'same' }
  | { readonly state: 'left-out' }
  /** The ISO has one that differs, with an answer file in it; compared with that of the ISO made anew. */
  | { readonly state: 'own' }
  | { readonly state: 'different'; readonly detail: string };

export interface VerifiedArtifact {
  readonly kind: 'files' | 'tree' | 'iso'; // `iso`: a part of the ISO that is no artifact
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
    if (typeof bytes === 'string') return { state: bytes };
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

/** The files on an ISO, without the packages where it is a netinstall one, found through its own directories. */
export function isoSource(image: IsoImage, netinstall: boolean, remade?: string): VerifySource {
  return {
    name: 'iso',
    async read({ isPackages, isoPath }) {
      if (isPackages && netinstall) return 'left-out';
      if (isoPath === remade) return 'own';
      return readNode(image, findNode(image, isoPath));
    },
  };
}

/**
 * What of an ISO is no artifact (what boots it, its directories, the files rackboot adds), compared with the ISO
 * `expected` that is made anew of the same generation with the same options.
 */
export async function verifyIsoAreas(
  record: GenerationRecord,
  expected: IsoSource,
  actual: IsoSource,
  remade?: string,
): Promise<VerifiedArtifact[]> {
  const placed = placedArtifacts(manifestOf(record)).map(({ isoPath }) => `/${isoPath}`);
  const areas = await compareAreas(expected, actual, new Set(placed.filter((path) => path !== `/${remade}`)));
  return areas.map(({ name, size, sha256, finding }) => ({
    kind: 'iso',
    path: name,
    size,
    sha256,
    found: { iso: finding },
  }));
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
