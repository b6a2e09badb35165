import { codeOf, messageOf } from '../../errors.js';
import { sha256 } from '../../store/digest.js';
import { encodeMap, readRange, type ExtentMap } from '../../store/extents.js';
import type { ServedGeneration } from '../boot/generations.js';
import { isoImage } from '../boot/iso-image.js';
import { LeastRecent } from '../boot/least-recent.js';
import type { BootService } from '../boot/service.js';
import { nodeAt } from './boot-script-routes.js';
import { HttpError, notFound } from './errors.js';
import { IMMUTABLE, redirectToCurrent } from './image-routes.js';
import type { Route } from './route.js';
import { sendBytes } from './send-bytes.js';

/** An ISO laid out: a map of a few hundred KiB in memory, whatever its size. */
interface LaidOut {
  readonly map: ExtentMap;
  readonly etag: string;
}

/** How many ISOs stay laid out. */
const KEPT = 8;

/** The ISO of a generation, laid out when it is first asked for and never stored; for virtual media and `sanboot`. */
export function isoRoutes(service: BootService): Route[] {
  const isos = new IsoDesk(service);
  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/images/{image}/iso',
      summary:
        'The ISO of a generation, or by redirect of the current one; belongs to no node and holds no token',
      produces: 'application/x-iso9660-image',
      responses: {
        200: 'The ISO',
        206: 'The range asked for',
        302: 'To the current generation, when the URL names none',
        304: 'The client’s copy is the same',
        404: 'No such osimage or generation',
        409: 'Its boot arguments need a node',
        412: 'If-Match names another file',
        416: 'The range lies outside',
      },
      async handle(request) {
        const image = request.params['image'] ?? '';
        if (!image.includes('@')) {
          await redirectToCurrent(service, request, (id) => `/images/${image}@${id}/iso`);
          return;
        }
        const generation = await service.generations.named(image);
        if (generation === undefined) throw notFound(`ISO of ${image}`);
        const release = await service.holds.during(generation.osimage, generation.id);
        try {
          const iso = await isos.layOut(generation);
          const node = await nodeAt(service, request.client);
          const transfer = service.transfers.begin({
            node: node?.name ?? null,
            client: request.client,
            stage: 'tree',
            path: 'iso',
            size: iso.map.size,
            generation: generation.id,
          });
          let result = { bytes: 0, isComplete: false, isWhole: false };
          try {
            result = await sendBytes(
              request,
              {
                size: iso.map.size,
                sha256: iso.etag,
                contentType: 'application/x-iso9660-image',
                cacheControl: IMMUTABLE,
                read: async (start, end) => readRange(iso.map, service.store.blobs, start, end),
              },
              (bytes) => transfer.sent(bytes),
            );
          } finally {
            transfer.end(result);
          }
        } finally {
          release();
        }
      },
    },
  ];
}

/** Lays ISOs out one at a time, and each once. */
class IsoDesk {
  readonly #service: BootService;
  readonly #kept = new LeastRecent<Promise<LaidOut>>(KEPT);
  #turn: Promise<unknown> = Promise.resolve();

  constructor(service: BootService) {
    this.#service = service;
  }

  layOut(generation: ServedGeneration): Promise<LaidOut> {
    const key = `${generation.osimage}@${generation.id}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const laidOut = this.#turn.then(() => this.#author(generation));
    this.#turn = laidOut.catch(() => undefined);
    this.#kept.set(key, laidOut);
    laidOut.catch(() => this.#kept.delete(key));
    return laidOut;
  }

  async #author(generation: ServedGeneration): Promise<LaidOut> {
    const { store, config, runKey, serverUrl, now } = this.#service;
    const record = await store.osimages.generation(generation.osimage, generation.id);
    if (record === undefined) throw notFound(`ISO of ${generation.osimage}`);
    const tools = { store, config, runKey, serverUrl: serverUrl(), now };
    const map = await isoImage(tools, record, { netinstall: false }).catch((cause: unknown) => {
      if (codeOf(cause) === 'NOT_BOOTABLE') throw new HttpError('NO_ISO', messageOf(cause), { cause });
      if (codeOf(cause) !== 'BAD_TEMPLATE') throw cause;
      throw new HttpError(
        'NO_ISO',
        `${generation.osimage} boots only as some node, so there is no ISO for everybody; make one with: rackboot image iso ${generation.osimage} --node NODE`,
        { cause },
      );
    });
    // The map names every byte, so its digest is a strong ETag, without reading the ISO.
    return { map, etag: sha256(encodeMap(map)) };
  }
}
