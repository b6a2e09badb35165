import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import type { ExecutionContext } from 'ava';

export interface WebServer {
  readonly url: string; // no final slash
  readonly asked: string[]; // paths, decoded, in order
  /** What is sent in place of a file. */
  readonly instead: Map<string, Buffer>;
}

/** A plain web server for the files below `dir`, with ranges unless told otherwise, and no listings. */
export async function serveFiles(
  t: ExecutionContext,
  dir: string,
  { ranges = true, any = false, password }: { ranges?: boolean; any?: boolean; password?: string } = {},
): Promise<WebServer> {
  const asked: string[] = [];
  const instead = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
    asked.push(path);
    const wanted =
      password === undefined ? undefined : `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;
    if (wanted !== undefined && request.headers.authorization !== wanted) {
      response.writeHead(401).end();
      return;
    }
    void (async () => {
      const file = join(dir, normalize(path));
      const info = await stat(file).catch(() => undefined);
      const other = instead.get(path) ?? (any && info?.isFile() !== true ? Buffer.from('<html>') : undefined);
      if (other === undefined && info?.isFile() !== true) {
        response.writeHead(404).end('no');
        return;
      }
      const size = other?.length ?? info?.size ?? 0;
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const isRange = ranges && from !== undefined;
      const start = isRange ? Number(from) : 0;
      const end = isRange ? Math.min(Number(to) + 1, size) : size;
      if (isRange && start >= size) {
        response.writeHead(416).end();
        return;
      }
      response.writeHead(isRange ? 206 : 200, {
        'content-length': end - start,
        ...(isRange ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {}),
      });
      if (other !== undefined) response.end(other.subarray(start, end));
      else if (end === start) response.end();
      else createReadStream(file, { start, end: end - 1 }).pipe(response);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, instead };
}
