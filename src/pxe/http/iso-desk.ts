import { codeOf, messageOf } from '../../errors.js';
import { sha256 } from '../../store/digest.js';
import { encodeMap, type ExtentMap } from '../../store/extents.js';
import type { GenerationName } from '../../store/records.js';
import { isoImage, type IsoImageOptions } from '../boot/iso-image.js';
import { LeastRecent } from '../boot/least-recent.js';
import type { BootService } from '../boot/service.js';
import { HttpError, notFound } from './errors.js';

/** An ISO laid out: a map of a few hundred KiB in memory, whatever its size. */
export interface LaidOut {
  readonly map: ExtentMap;
  readonly etag: string;
}

/** Lays ISOs out one at a time and each once; forgets those asked for longest ago, which are laid out the same again. */
export class IsoDesk {
  readonly #service: BootService;
  readonly #kept: LeastRecent<Promise<LaidOut>>;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(service: BootService, limit: number) {
    this.#service = service;
    this.#kept = new LeastRecent(limit);
  }

  /** The ISO of `generation` for `options`, which `key` names. Throws HttpError NOT_FOUND and NO_ISO. */
  layOut(key: string, generation: GenerationName, options: IsoImageOptions): Promise<LaidOut> {
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const laidOut = this.#turn.then(() => this.#author(generation, options));
    this.#turn = laidOut.catch(() => undefined);
    this.#kept.set(key, laidOut);
    laidOut.catch(() => this.#kept.delete(key));
    return laidOut;
  }

  /** The ISO that `key` names, if it still is laid out. */
  kept(key: string): Promise<LaidOut> | undefined {
    return this.#kept.get(key);
  }

  async #author({ osimage, id }: GenerationName, options: IsoImageOptions): Promise<LaidOut> {
    const { store, config, runKey, serverUrl, now } = this.#service;
    const record = await store.osimages.generation(osimage, id);
    if (record === undefined) throw notFound(`ISO of ${osimage}`);
    const tools = { store, config, runKey, serverUrl: serverUrl(), now };
    const map = await isoImage(tools, record, options).catch((cause: unknown) => {
      if (codeOf(cause) === 'NOT_BOOTABLE' || codeOf(cause) === 'NOT_ASSIGNED')
        throw new HttpError('NO_ISO', messageOf(cause), { cause });
      if (codeOf(cause) !== 'BAD_TEMPLATE') throw cause;
      if (options.node !== undefined) throw new HttpError('NO_ISO', messageOf(cause), { cause });
      throw new HttpError(
        'NO_ISO',
        `${osimage} boots only as some node, so there is no ISO for everybody; a node’s own is at /nodes/NODE/iso, or make one with: rackboot image iso ${osimage} --node NODE`,
        { cause },
      );
    });
    // The map names every byte, so its digest is a strong ETag, without reading the ISO.
    return { map, etag: sha256(encodeMap(map)) };
  }
}
