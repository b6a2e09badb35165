import { manifestOf, servedTree } from '../../osimage/manifest.js';
import type { Artifact, BootEntry, GenerationManifest } from '../../osimage/types.js';
import type { Digest } from '../../store/digest.js';
import { decodeMap, readBlob, readPieces, readRange, type ExtentMap } from '../../store/extents.js';
import type { GenerationRecord, Store, Timestamp } from '../../store/records.js';
import type { Piece } from '../../store/types.js';
import { LeastRecent } from './least-recent.js';
import { losesArchives } from './mboot.js';

/** A generation as the servers use it. */
export interface ServedGeneration {
  readonly osimage: string;
  readonly id: string;
  readonly manifest: GenerationManifest;
  /** The artifact at a path below files/ or tree/, exactly as published. */
  artifact(branch: 'files' | 'tree', path: string): Artifact | undefined;
}

/** How long a generation is served from memory before its row is looked up again, in milliseconds. */
const FRESH = 10_000;

/** Shortest part of an id that names a generation in a URL; numbers do not, as a removed osimage starts over. */
const SHORTEST_ID = 12;

/** Finds generations and opens their artifacts, keeping what is asked for often. */
export class Generations {
  readonly #store: Pick<Store, 'osimages' | 'blobs'>;
  readonly #now: () => Timestamp;
  readonly #served = new LeastRecent<{ readonly until: Timestamp; readonly generation: ServedGeneration }>(
    64,
  );
  readonly #maps = new LeastRecent<ExtentMap>(512);
  readonly #losing = new LeastRecent<boolean>(64);

  constructor(store: Pick<Store, 'osimages' | 'blobs'>, now: () => Timestamp) {
    this.#store = store;
    this.#now = now;
  }

  /** The generation that `<osimage>@<id>` names, or undefined. */
  async named(image: string): Promise<ServedGeneration | undefined> {
    const [, osimage = '', id = ''] = /^([^@]+)@([0-9a-f]+)$/.exec(image) ?? [];
    if (id.length < SHORTEST_ID) return undefined;
    if (id.length === 64) return this.find(osimage, id);
    const fitting = (await this.#store.osimages.history(osimage)).filter((record) =>
      record.id.startsWith(id),
    );
    const [only, ...others] = fitting;
    return only === undefined || others.length > 0 ? undefined : this.find(osimage, only.id);
  }

  /** The generation that is current for `osimage`, or undefined. */
  async current(osimage: string): Promise<ServedGeneration | undefined> {
    const record = await this.#store.osimages.get(osimage);
    return record === undefined ? undefined : this.find(osimage, record.current);
  }

  /** The generation with the full `id`, or undefined. */
  async find(osimage: string, id: string): Promise<ServedGeneration | undefined> {
    const key = `${osimage}@${id}`;
    const kept = this.#served.get(key);
    if (kept !== undefined && kept.until > this.#now()) return kept.generation;
    const record = await this.#store.osimages.generation(osimage, id);
    if (record === undefined) {
      this.#served.delete(key);
      return undefined;
    }
    const generation = kept?.generation ?? serve(record);
    this.#served.set(key, { until: this.#now() + FRESH, generation });
    return generation;
  }

  /**
   * Bytes [start, end) of `artifact`, in buffers that are lent: each is written over once the next is asked for. What
   * cannot be located throws before the first byte.
   */
  async read(artifact: Pick<Artifact, 'map'>, start: number, end: number): Promise<AsyncIterable<Buffer>> {
    const map = await this.#map(artifact.map);
    return startReading(readRange(map, this.#store.blobs, start, end, 'lent'));
  }

  /** The same bytes in pieces, for who can send them from a descriptor. Throws as `read`. */
  async pieces(artifact: Pick<Artifact, 'map'>, start: number, end: number): Promise<AsyncIterable<Piece>> {
    const map = await this.#map(artifact.map);
    return startReading(readPieces(map, this.#store.blobs, start, end));
  }

  /** The text of a small blob. */
  async text(blob: Digest): Promise<string> {
    return (await readBlob(this.#store.blobs, blob)).toString('utf8');
  }

  /** Whether `entry` is one that mboot.c32 would lose archives of: losesArchives. */
  async losesArchives(manifest: GenerationManifest, entry: BootEntry): Promise<boolean> {
    const [path] = entry.initrds;
    if (entry.kind !== 'xen' || path === undefined) return false;
    const key = manifest.archives[path] ?? '';
    const loses = this.#losing.get(key) ?? (await losesArchives(this.#store.blobs, manifest, path));
    this.#losing.set(key, loses);
    return loses;
  }

  async #map(digest: Digest): Promise<ExtentMap> {
    const kept = this.#maps.get(digest);
    if (kept !== undefined) return kept;
    const map = decodeMap(await readBlob(this.#store.blobs, digest));
    this.#maps.set(digest, map);
    return map;
  }
}

function serve(record: GenerationRecord): ServedGeneration {
  const manifest = manifestOf(record);
  const branches = {
    files: new Map(manifest.files.map((artifact) => [artifact.path, artifact])),
    tree: new Map(servedTree(manifest).map((artifact) => [artifact.path, artifact])),
  };
  return {
    osimage: record.osimage,
    id: record.id,
    manifest,
    artifact: (branch, path) => branches[branch].get(path),
  };
}

/** `source` with its first piece read already; to be read once. */
async function startReading<P extends Piece>(source: AsyncIterable<P>): Promise<AsyncIterable<P>> {
  const iterator = source[Symbol.asyncIterator]();
  let first: IteratorResult<P> | undefined = await iterator.next();
  const started: AsyncIterator<P> = {
    next: () => {
      if (first === undefined) return iterator.next();
      const result = Promise.resolve(first);
      first = undefined;
      return result;
    },
    return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
  };
  return { [Symbol.asyncIterator]: () => started };
}
