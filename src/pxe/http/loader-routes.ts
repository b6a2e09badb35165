import type { BootService } from '../boot/service.js';
import { nodeAt } from './boot-script-routes.js';
import { contentTypeOf } from './content-type.js';
import { notFound } from './errors.js';
import type { Route } from './route.js';
import { sendBytes } from './send-bytes.js';

/** The boot loaders, for UEFI HTTP Boot and for iPXE that goes on to GRUB. */
export function loaderRoutes(service: BootService): Route[] {
  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/loaders/{name}',
      summary: 'A boot loader: of a Debian package, made by us, or one that rackboot.yaml names',
      produces: 'application/octet-stream',
      responses: {
        200: 'The loader',
        206: 'The range asked for',
        304: 'The client’s copy is the same',
        404: 'No such loader, or its package is not installed',
      },
      async handle(request) {
        const name = request.params['name'] ?? '';
        const loader = await service.loaders.open(name);
        if (loader === undefined) throw notFound(`loader ${name}`);
        const node = await nodeAt(service, request.client);
        const transfer = service.transfers.begin({
          node: node?.name ?? null,
          client: request.client,
          stage: 'loader',
          path: name,
          size: loader.bytes.length,
          generation: null,
        });
        let result = { bytes: 0, isComplete: false, isWhole: false };
        try {
          result = await sendBytes(
            request,
            {
              size: loader.bytes.length,
              sha256: loader.sha256,
              contentType: contentTypeOf(name),
              cacheControl: 'no-cache',
              read: async (start, end) => slices(loader.bytes.subarray(start, end)),
            },
            (bytes) => transfer.sent(bytes),
          );
        } finally {
          transfer.end(result);
        }
      },
    },
  ];
}

async function* slices(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65536) yield bytes.subarray(at, at + 65536);
}
