import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { answerBytes } from './conditional.js';
import type { RouteRequest } from './route.js';

/** Bytes that never change under their name. */
export interface ImmutableBytes {
  readonly size: number; // bytes
  readonly sha256: string; // hexadecimal, of the bytes or of what they follow from; the strong ETag
  readonly contentType: string;
  readonly cacheControl: string;
  /** Bytes [start, end); asked for at most once. */
  read(start: number, end: number): Promise<AsyncIterable<Buffer>>;
}

/** How a response to a request for bytes ended. */
export interface SentBytes {
  readonly status: number;
  readonly bytes: number; // of the body, handed to the network
  readonly isComplete: boolean; // the whole of what was asked for
  readonly isWhole: boolean; // the whole file, in this one response
}

/**
 * Answers a GET or HEAD with `content` or the range asked for, no faster than the client reads. A client that goes
 * away ends the reading; it is not an error. `onBytes` is told the body's bytes as they go out.
 */
export async function sendBytes(
  request: RouteRequest,
  content: ImmutableBytes,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<SentBytes> {
  const { req, res } = request;
  const method = request.method === 'HEAD' ? 'HEAD' : 'GET';
  const etag = `"${content.sha256}"`;
  const answer = answerBytes(method, req.headers, etag, content.size);
  res.setHeader('ETag', etag);
  res.setHeader('Accept-Ranges', 'bytes');
  res.setHeader('Cache-Control', content.cacheControl);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  if (answer.status === 304 || answer.status === 412 || answer.status === 416) {
    if (answer.status === 416) res.setHeader('Content-Range', `bytes */${content.size}`);
    if (answer.status !== 304) res.setHeader('Content-Length', 0);
    res.writeHead(answer.status).end();
    return { status: answer.status, bytes: 0, isComplete: true, isWhole: false };
  }
  const { start, end } = answer.status === 206 ? answer : { start: 0, end: content.size };
  // Opened before the header goes out, so that bytes that are gone are still a 404.
  const source = method === 'HEAD' ? undefined : await content.read(start, end);
  res.setHeader('Content-Type', content.contentType);
  res.setHeader('Content-Length', end - start);
  if (answer.status === 206) res.setHeader('Content-Range', `bytes ${start}-${end - 1}/${content.size}`);
  res.writeHead(answer.status);
  if (source === undefined) {
    res.end();
    return { status: answer.status, bytes: 0, isComplete: true, isWhole: false };
  }
  const bytes = await pour(source, res, onBytes);
  const isComplete = bytes === end - start && !res.destroyed;
  return { status: answer.status, bytes, isComplete, isWhole: isComplete && bytes === content.size };
}

/** Writes `source` to `res` and ends it; the number of bytes written. */
async function pour(
  source: AsyncIterable<Buffer>,
  res: ServerResponse,
  onBytes: (bytes: number) => void,
): Promise<number> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  res.once('close', onClose);
  let sent = 0;
  try {
    for await (const chunk of source) {
      if (res.destroyed) return sent;
      const hasRoom = res.write(chunk);
      sent += chunk.length;
      onBytes(chunk.length);
      if (!hasRoom) await once(res, 'drain', { signal: gone.signal });
    }
    res.end();
    if (!res.writableFinished) await once(res, 'finish', { signal: gone.signal });
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  } finally {
    res.off('close', onClose);
  }
  return sent;
}
