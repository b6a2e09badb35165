import { access } from 'node:fs/promises';
import { constants } from 'node:fs';
import type { Site } from '../site/site.js';
import { codeOf } from '../errors.js';
import { fileError } from './errors.js';
import { collectGarbage } from './gc.js';
import { identityOf, requireDatabaseOf, requireSameStore } from './identity.js';
import { StoreLayout } from './layout.js';
import { ProcessLease } from './lease.js';
import { OpenFiles } from './open-files.js';
import { PackReader } from './pack-reader.js';
import type { GcResult, GenerationName, Store, Timestamp, VerifyProblem } from './records.js';
import { withScratch } from './scratch.js';
import { AddressRows } from './state/addresses.js';
import { BlobIndex } from './state/blob-index.js';
import { StateDatabase, type DatabaseAddress } from './state/database.js';
import { EventRows } from './state/events.js';
import { LeaseRows } from './state/leases.js';
import { NodeRows } from './state/nodes.js';
import { OsimageRows } from './state/osimages.js';
import { StrangerRows } from './state/strangers.js';
import { TokenRows } from './state/tokens.js';
import type { BlobReader, BlobWriter } from './types.js';
import { verifyStore } from './verify.js';
import { defaultLimits, WriteSession, type PackLimits } from './write-session.js';

/** What may differ from the usual, for tests. */
export interface StoreOptions {
  readonly now?: () => Timestamp;
  readonly limits?: PackLimits;
}

/**
 * Opens the store of a site to look something up. A site on SQLite that cannot be written is opened as it lies: what
 * would change it is StoreError READ_ONLY, and nothing is held from a gc elsewhere. Throws as openStore.
 */
export async function openStoreToRead(site: Site, options: StoreOptions = {}): Promise<Store> {
  const address = addressOf(site);
  const isFrozen =
    address.kind === 'sqlite' &&
    (await requireWritable(site.dir).then(
      () => false,
      (error: unknown) => codeOf(error) === 'READ_ONLY',
    ));
  if (!isFrozen) return openStore(site, options);
  const database = await StateDatabase.openFrozen(address.path);
  return siteStore(new StoreLayout(site.paths.store), database, options);
}

/**
 * Opens the store of a site, making the database and directories that are missing. Any number of processes may have it
 * open. Throws StoreError READ_ONLY, DISK_FULL, DATABASE_NEWER, DATABASE_DAMAGED, DATABASE_UNREACHABLE,
 * STORE_MISMATCH.
 */
export async function openStore(site: Site, options: StoreOptions = {}): Promise<Store> {
  const layout = new StoreLayout(site.paths.store);
  await requireWritable(site.dir);
  await layout.prepare();
  const address = addressOf(site);
  if (address.kind === 'sqlite') await requireDatabaseOf(layout, address.path);
  const database = await StateDatabase.open(address);
  try {
    await requireSameStore(layout, database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return siteStore(layout, database, options);
}

function siteStore(layout: StoreLayout, database: StateDatabase, options: StoreOptions): Store {
  return new SiteStore(database, layout, options.now ?? Date.now, options.limits ?? defaultLimits);
}

async function requireWritable(dir: string): Promise<void> {
  try {
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileError(error, dir);
  }
}

function addressOf(site: Site): DatabaseAddress {
  return site.config.database === 'sqlite'
    ? { kind: 'sqlite', path: site.paths.database }
    : { kind: 'postgres', url: site.config.database };
}

class SiteStore implements Store {
  readonly blobs: BlobReader;
  readonly osimages: OsimageRows;
  readonly nodes: NodeRows;
  readonly events: EventRows;
  readonly tokens: TokenRows;
  readonly leases: LeaseRows;
  readonly addresses: AddressRows;
  readonly strangers: StrangerRows;
  readonly #database: StateDatabase;
  readonly #layout: StoreLayout;
  readonly #now: () => Timestamp;
  readonly #limits: PackLimits;
  readonly #index: BlobIndex;
  readonly #files = new OpenFiles();
  #closing: Promise<void> | undefined;

  constructor(database: StateDatabase, layout: StoreLayout, now: () => Timestamp, limits: PackLimits) {
    this.#database = database;
    this.#layout = layout;
    this.#now = now;
    this.#limits = limits;
    this.#index = new BlobIndex(database);
    this.blobs = new PackReader(this.#index, layout, this.#files);
    this.osimages = new OsimageRows(database, now);
    this.nodes = new NodeRows(database);
    this.events = new EventRows(database);
    this.tokens = new TokenRows(database, now);
    this.leases = new LeaseRows(database);
    this.addresses = new AddressRows(database);
    this.strangers = new StrangerRows(database);
  }

  identity(): Promise<string> {
    return identityOf(this.#database);
  }

  async write<T>(purpose: string, body: (writer: BlobWriter) => Promise<T>): Promise<T> {
    const lease = await ProcessLease.forWrite(this.#index, purpose, this.#now);
    const session = new WriteSession({
      index: this.#index,
      layout: this.#layout,
      lease,
      limits: this.#limits,
    });
    try {
      const result = await body(session);
      await session.seal();
      return result;
    } finally {
      await session.discard();
      await lease.end();
    }
  }

  async read<T>(purpose: string, generations: readonly GenerationName[], body: () => Promise<T>): Promise<T> {
    if (this.#database.isFrozen) return body();
    const leases: ProcessLease[] = [];
    try {
      for (const generation of generations)
        leases.push(await ProcessLease.forRead(this.#index, purpose, generation, this.#now));
      return await body();
    } finally {
      for (const lease of leases) await lease.end();
    }
  }

  scratch<T>(body: (directory: string) => Promise<T>): Promise<T> {
    return withScratch(this.#layout.scratch, body);
  }

  async verify(
    progress: (done: number, total: number) => void = () => undefined,
  ): Promise<{ blobs: number; bytes: number; problems: VerifyProblem[] }> {
    return verifyStore({ index: this.#index, layout: this.#layout, files: this.#files }, progress);
  }

  async gc(options: { dryRun: boolean; keep?: number }): Promise<GcResult> {
    if (options.keep !== undefined && !(Number.isInteger(options.keep) && options.keep >= 0)) {
      throw new RangeError(`cannot keep ${options.keep} generations`);
    }
    const parts = {
      database: this.#database,
      index: this.#index,
      layout: this.#layout,
      files: this.#files,
      now: this.#now,
    };
    return collectGarbage(parts, options);
  }

  async close(): Promise<void> {
    this.#closing ??= Promise.all([this.#files.close(), this.#database.close()]).then(() => undefined);
    await this.#closing;
  }
}
