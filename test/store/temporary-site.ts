import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { defaultConfig } from '../../src/site/config.js';
import { siteAt, type Site } from '../../src/site/site.js';
import { sha256, type Digest } from '../../src/store/digest.js';
import { readBlob } from '../../src/store/extents.js';
import type { PublishRequest, Store } from '../../src/store/records.js';
import { openStore, type StoreOptions } from '../../src/store/store.js';
import type { BlobWriter } from '../../src/store/types.js';

/** A temporary directory that goes with the test. */
export async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-store-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A site with the default configuration in a temporary directory that goes with the test. */
export async function temporarySite(t: ExecutionContext): Promise<Site> {
  return siteAt(await temporaryDirectory(t), defaultConfig());
}

/** An open store in a temporary site; both go with the test. */
export async function temporaryStore(
  t: ExecutionContext,
  options: StoreOptions = {},
): Promise<{ site: Site; store: Store }> {
  const site = await temporarySite(t);
  const store = await openStore(site, options);
  t.teardown(() => store.close());
  return { site, store };
}

/** Puts `contents` in one write and gives back their digests. */
export function putAll(store: Store, contents: readonly (string | Buffer)[]): Promise<Digest[]> {
  return store.write('test', (writer) => putEach(writer, contents));
}

export async function putEach(writer: BlobWriter, contents: readonly (string | Buffer)[]): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (const content of contents) digests.push(await writer.put(Buffer.from(content)));
  return digests;
}

/** Whether the store holds the blob, read back and checked. */
export async function holds(store: Store, blob: Digest): Promise<boolean> {
  try {
    return sha256(await readBlob(store.blobs, blob)) === blob;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'MISSING_BLOB') return false;
    throw error;
  }
}

/** A request to publish a generation of osimage `d12` that needs `blobs`. */
export function request(blobs: readonly Digest[], id: string, parent: string | null): PublishRequest {
  return {
    osimage: 'd12',
    family: 'generic',
    id: sha256(id),
    parent,
    note: id,
    manifest: `{"id":"${id}"}`,
    blobs,
  };
}

/** `bytes` bytes that look random and are the same for the same seed. */
export function noise(seed: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < bytes; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    buffer[at] = state >>> 24;
  }
  return buffer;
}
