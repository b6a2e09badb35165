import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { readBody } from '../pxe/http/body.js';
import { HttpError } from '../pxe/http/errors.js';

/**
 * The JSON body of a request, of at most `limit` bytes and of the shape `schema`. Throws HttpError WRONG_CONTENT_TYPE,
 * BODY_TOO_LARGE, or BAD_REQUEST saying `shape`.
 */
export async function readJsonBody<Shape extends z.ZodType>(
  req: IncomingMessage,
  limit: number,
  schema: Shape,
  shape: string,
): Promise<z.output<Shape>> {
  if (!/^application\/json\s*(;|$)/i.test(req.headers['content-type'] ?? '')) {
    throw new HttpError('WRONG_CONTENT_TYPE', 'send the body as Content-Type: application/json');
  }
  const parsed = schema.safeParse(parseJson(await readBody(req, limit)));
  if (!parsed.success) throw new HttpError('BAD_REQUEST', `the body must be ${shape}`);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
