import type { IncomingMessage } from 'node:http';
import { HttpError } from './errors.js';

/** The body of a request, of at most `limit` bytes. Throws HttpError BODY_TOO_LARGE, having read no more than that. */
export async function readBody(req: IncomingMessage, limit: number): Promise<string> {
  const tooLarge = (): HttpError =>
    new HttpError('BODY_TOO_LARGE', `the body may have ${limit} bytes at most`);
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
