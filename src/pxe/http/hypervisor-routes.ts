import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Artifact } from '../../osimage/types.js';
import { isHypervisor } from '../boot/artifact-stage.js';
import { LeastRecent } from '../boot/least-recent.js';
import type { BootService } from '../boot/service.js';
import { nodeAt } from './boot-script-routes.js';
import { notFound } from './errors.js';
import { IMMUTABLE } from './image-routes.js';
import type { Route } from './route.js';
import { sendBytes } from './send-bytes.js';

const unzip = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

/** The largest hypervisor that is unpacked, and what it may become, in bytes: Xen has about 3 MiB and 10 MiB. */
const LARGEST = 32 * 2 ** 20;
const LARGEST_PLAIN = 128 * 2 ** 20;

interface Plain {
  readonly bytes: Buffer;
  readonly sha256: string; // hexadecimal
}

/** Hypervisors as iPXE wants them on BIOS: not compressed, however the vendor ships them. */
export function hypervisorRoutes(service: BootService): Route[] {
  const kept = new LeastRecent<Promise<Plain>>(4);
  const plainOf = (artifact: Artifact): Promise<Plain> => {
    const known = kept.get(artifact.sha256);
    if (known !== undefined) return known;
    const plain = unpack(service, artifact);
    kept.set(artifact.sha256, plain);
    plain.catch(() => kept.delete(artifact.sha256));
    return plain;
  };
  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/images/{image}/hypervisor/{path...}',
      summary: 'The hypervisor of a generation’s boot entry, unpacked when it is gzip',
      produces: 'application/octet-stream',
      responses: {
        200: 'The hypervisor',
        206: 'The range asked for',
        304: 'The client’s copy is the same',
        404: 'No such generation, or no hypervisor of it',
      },
      async handle(request) {
        const { image = '', path = '' } = request.params;
        const generation = await service.generations.named(image);
        const artifact = generation?.artifact('files', path);
        const isNamed = generation?.manifest.boot.some((entry) => isHypervisor(entry, path)) === true;
        if (generation === undefined || artifact === undefined || !isNamed || artifact.size > LARGEST)
          throw notFound(`${path} in ${image}/hypervisor`);
        const { bytes, sha256 } = await plainOf(artifact);
        const transfer = service.transfers.begin({
          node: (await nodeAt(service, request.client))?.name ?? null,
          client: request.client,
          stage: 'kernel',
          path,
          size: bytes.length,
          generation: generation.id,
        });
        let result = { bytes: 0, isComplete: false, isWhole: false };
        try {
          result = await sendBytes(
            request,
            {
              size: bytes.length,
              sha256,
              contentType: 'application/octet-stream',
              cacheControl: IMMUTABLE,
              read: async (start, end) => slices(bytes.subarray(start, end)),
            },
            (sent) => transfer.sent(sent),
          );
        } finally {
          transfer.end(result);
        }
      },
    },
  ];
}

async function unpack(service: BootService, artifact: Artifact): Promise<Plain> {
  const chunks: Buffer[] = [];
  // Copied: the buffers are lent.
  for await (const chunk of await service.generations.read(artifact, 0, artifact.size))
    chunks.push(Buffer.from(chunk));
  const stored = Buffer.concat(chunks);
  const isGzip = stored[0] === 0x1f && stored[1] === 0x8b;
  const bytes = isGzip ? await unzip(stored, { maxOutputLength: LARGEST_PLAIN }) : stored;
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

async function* slices(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65536) yield bytes.subarray(at, at + 65536);
}
