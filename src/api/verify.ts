import { open } from 'node:fs/promises';
import { pino } from 'pino';
import { codeOf } from '../errors.js';
import { ImageError } from '../image/errors.js';
import { openIso, type IsoImage } from '../image/iso/reader.js';
import { fileSource, streamSource, type IsoSource } from '../image/iso/source.js';
import { answeringArchive } from '../osimage/answer-on-iso.js';
import { OsimageError } from '../osimage/errors.js';
import { ENGINE } from '../osimage/generation-id.js';
import { manifestOf } from '../osimage/manifest.js';
import { readClaims, type IsoClaims } from '../osimage/iso-statement.js';
import {
  httpSource,
  isoSource,
  storeSource,
  verifyGeneration,
  verifyIsoAreas,
  type VerifiedArtifact,
  type VerifySource,
} from '../osimage/verify.js';
import { verifyRepositories, type VerifiedRepository } from '../osimage/tree/verify-repositories.js';
import { claimedIsoImage } from '../pxe/boot/iso-image.js';
import { httpUrl } from '../site/config.js';
import type { Site } from '../site/site.js';
import { readRange } from '../store/extents.js';
import type { GenerationRecord, Store } from '../store/records.js';
import { startServers } from './serve.js';
import { STORE_HEADER, storeTag } from './store-header.js';

export interface VerifyRequest {
  readonly site: Site;
  readonly store: Store;
  readonly record: GenerationRecord;
  readonly iso: string | undefined; // an ISO file
  readonly bytesOnly: boolean; // without the check of the install tree's repositories
  readonly onProgress?: (what: string, done: number, total: number) => void;
}

export interface VerifyResult {
  readonly artifacts: readonly VerifiedArtifact[];
  readonly repositories: readonly VerifiedRepository[]; // of the install tree
  readonly http: string; // the server that was asked
  readonly iso?: IsoClaims; // what the ISO says of itself, as far as it was compared
}

/** What mends checksums of a generation that an earlier release made, which left the vendor’s in .treeinfo. */
function checksumMend(record: GenerationRecord): string | undefined {
  return manifestOf(record).inputs.engine === ENGINE
    ? undefined
    : `an earlier rackboot made this generation and kept the vendor’s checksums; run: rackboot image build ${record.osimage}`;
}

/** How long the configured server may take to answer before one is started, in milliseconds. */
const PATIENCE = 2000;

/**
 * Reads a generation from the store, a server and an ISO, and compares; then checks its repositories as the installer
 * would. Throws OsimageError when the ISO is another's, RepoError MISSING_TOOL.
 */
export async function verifyImage(request: VerifyRequest): Promise<VerifyResult> {
  const { site, store, record, iso, onProgress } = request;
  const image = iso === undefined ? undefined : await openImage(iso);
  try {
    const read = image === undefined ? undefined : await readIso(image.file, image.source);
    const claims = read === undefined ? undefined : await readClaims(read, record);
    const sources: VerifySource[] = [storeSource(store)];
    const remade = claims?.own?.answer === undefined ? undefined : answeringArchive(manifestOf(record));
    if (read !== undefined && claims !== undefined) sources.push(isoSource(read, claims.netinstall, remade));
    const server = await reachServer(site, store);
    try {
      const found = await store.read('image verify', [record], async () => ({
        artifacts: [
          ...(await verifyGeneration(record, [...sources, httpSource(server.url, record)], onProgress)),
          ...(read === undefined || claims === undefined
            ? []
            : await verifyAreas(request, read, claims, remade)),
        ],
        repositories: request.bytesOnly
          ? []
          : await verifyRepositories(manifestOf(record), store.blobs, onProgress, checksumMend(record)),
      }));
      return { ...found, http: server.says, ...(claims === undefined ? {} : { iso: claims }) };
    } finally {
      await server.close();
    }
  } finally {
    await image?.close();
  }
}

async function verifyAreas(
  { site, store, record }: VerifyRequest,
  image: IsoImage,
  claims: IsoClaims,
  remade: string | undefined,
): Promise<VerifiedArtifact[]> {
  const tools = { store, config: site.config, serverUrl: httpUrl(site.config) };
  const map = await claimedIsoImage(tools, record, claims);
  const expected = streamSource(map.size, (start, end) => readRange(map, store.blobs, start, end));
  return verifyIsoAreas(record, expected, image.source, remade);
}

async function openImage(file: string): Promise<{ file: string; source: IsoSource; close(): Promise<void> }> {
  try {
    const handle = await open(file, 'r');
    return { file, source: fileSource(handle, (await handle.stat()).size), close: () => handle.close() };
  } catch (error) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${file}: cannot be read (${codeOf(error) ?? 'unknown error'}); give the ISO that image iso wrote`,
      { cause: error },
    );
  }
}

async function readIso(file: string, source: IsoSource): Promise<IsoImage> {
  return openIso(source).catch((error: unknown) => {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(error.code, `${file}: ${error.message}`, { cause: error });
  });
}

interface ReachedServer {
  readonly url: string;
  readonly says: string;
  close(): Promise<void>;
}

/** The server of the site, where it runs; else one of our own on loopback. */
async function reachServer(site: Site, store: Store): Promise<ReachedServer> {
  const url = httpUrl(site.config);
  const tag = await storeTag(store);
  const served = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(PATIENCE) })
    .then((response) => (response.ok ? (response.headers.get(STORE_HEADER) ?? 'none') : undefined))
    .catch(() => undefined);
  if (served === tag) return { url, says: `the running server at ${url}`, close: () => Promise.resolve() };
  const { config } = site;
  const own: Site = {
    ...site,
    config: {
      ...config,
      http: { listen: '127.0.0.1:0', limits: {} },
      tftp: { ...config.tftp, listen: 'off' },
      dhcp: { ...config.dhcp, interfaces: {} },
    },
  };
  const servers = await startServers({ site: own, store, log: pino({ level: 'silent' }) });
  return {
    url: servers.url,
    says: `a server started for it on loopback, as ${served === undefined ? 'nothing answers' : 'another site’s server answers'} at ${url}`,
    close: () => servers.close(),
  };
}
