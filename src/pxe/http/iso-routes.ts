import { readPieces, readRange } from '../../store/extents.js';
import type { BootService } from '../boot/service.js';
import { nodeAt } from './boot-script-routes.js';
import { notFound } from './errors.js';
import { IMMUTABLE, redirectToCurrent } from './image-routes.js';
import { IsoDesk, type LaidOut } from './iso-desk.js';
import type { Route, RouteRequest } from './route.js';
import { sendBytes } from './send-bytes.js';

/** How many ISOs of generations stay laid out. */
const KEPT = 8;

export const ISO_TYPE = 'application/x-iso9660-image';

/** What a request for an ISO is answered with when all is well. */
export const ISO_BYTES = {
  200: 'The ISO',
  206: 'The ranges asked for',
  304: 'The client’s copy is the same',
  412: 'If-Match names another file',
  416: 'The range lies outside',
} as const;

/** The ISO of a generation, laid out when it is first asked for and never stored; for virtual media and `sanboot`. */
export function isoRoutes(service: BootService): Route[] {
  const isos = new IsoDesk(service, KEPT);
  return ['/iso', '.iso'].map((ending) => ({
    methods: ['GET', 'HEAD'],
    path: `/images/{image}${ending}`,
    summary: `The ISO of a generation, or by redirect of the current one; belongs to no node and holds no token${ending === '.iso' ? '. The same as /images/{image}/iso, for a BMC that wants the ending' : ''}`,
    produces: ISO_TYPE,
    responses: {
      ...ISO_BYTES,
      302: 'To the current generation, when the URL names none',
      404: 'No such osimage or generation',
      409: 'Its boot arguments need a node',
    },
    async handle(request) {
      const image = request.params['image'] ?? '';
      if (!image.includes('@')) {
        await redirectToCurrent(service, request, (id) => `/images/${image}@${id}${ending}`);
        return;
      }
      const generation = await service.generations.named(image);
      if (generation === undefined) throw notFound(`ISO of ${image}`);
      const { osimage, id } = generation;
      const release = await service.holds.during(osimage, id);
      try {
        const iso = await isos.layOut(`${osimage}@${id}`, generation, { netinstall: false });
        const node = await nodeAt(service, request.client);
        const of = { node: node?.name ?? null, generation: id };
        await sendIso(service, request, iso, of, { cacheControl: IMMUTABLE });
      } finally {
        release();
      }
    },
  }));
}

/** Sends an ISO or a part of it; `onRead` is told where a GET begins to read, and may throw to refuse it. */
export async function sendIso(
  service: BootService,
  request: RouteRequest,
  { map, etag }: LaidOut,
  of: { readonly node: string | null; readonly generation: string },
  how: { readonly cacheControl: string; readonly onRead?: (start: number) => Promise<void> },
): Promise<void> {
  const transfer = service.transfers.begin({
    ...of,
    client: request.client,
    stage: 'tree',
    path: 'iso',
    size: map.size,
  });
  let result = { bytes: 0, isComplete: false, isWhole: false };
  try {
    result = await sendBytes(
      request,
      {
        size: map.size,
        sha256: etag,
        contentType: ISO_TYPE,
        cacheControl: how.cacheControl,
        read: async (start, end) => {
          await how.onRead?.(start);
          return readRange(map, service.store.blobs, start, end, 'lent');
        },
        pieces: async (start, end) => {
          await how.onRead?.(start);
          return readPieces(map, service.store.blobs, start, end);
        },
      },
      (bytes) => transfer.sent(bytes),
    );
  } finally {
    transfer.end(result);
  }
}
