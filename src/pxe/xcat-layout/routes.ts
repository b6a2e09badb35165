import { createHash } from 'node:crypto';
import { encodePath } from '../boot/arguments.js';
import type { BootService } from '../boot/service.js';
import { notFound } from '../http/errors.js';
import { type Route, sendText } from '../http/route.js';
import { sendBytes } from '../http/send-bytes.js';
import { openXcatFile } from './files.js';

/** xCAT's tftpdir as URLs, for nodes that a DHCP server sends there. */
export function xcatLayoutRoutes(service: BootService): Route[] {
  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/tftpboot/{path...}',
      summary:
        'Boot files under the paths of xCAT (xnba, pxe, grub2), made for the node as it is now; only with xcat.paths: on',
      produces: 'text/plain; charset=utf-8',
      responses: {
        200: 'The file',
        302: 'To the current generation’s kernel or archive',
        404: 'xCAT has no such file, the node is offline, or xcat.paths is off',
      },
      async handle(request) {
        const path = request.params['path'] ?? '';
        const file = await openXcatFile(service, path, { address: request.client, transport: 'http' });
        if (file === undefined) throw notFound(`/tftpboot/${path}`);
        if (file.kind === 'text') return sendText(request, 'text/plain; charset=utf-8', file.text);
        if (file.kind === 'artifact') {
          const location = encodePath(`/images/${file.osimage}@${file.id}/files/${file.path}`);
          request.res
            .writeHead(302, { Location: location, 'Content-Length': 0, 'Cache-Control': 'no-store' })
            .end();
          return;
        }
        await sendBytes(
          request,
          {
            size: file.bytes.length,
            sha256: createHash('sha256').update(file.bytes).digest('hex'),
            contentType: 'application/octet-stream',
            cacheControl: 'no-cache',
            read: async (start, end) => only(file.bytes.subarray(start, end)),
          },
          () => undefined,
        );
      },
    },
  ];
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
