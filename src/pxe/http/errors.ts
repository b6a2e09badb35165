import { codeOf, RackbootError } from '../../errors.js';

/** Why a request is not answered with what it asked for. */
export type HttpErrorCode =
  | 'BAD_REQUEST'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'NO_ISO'
  | 'METHOD_NOT_ALLOWED'
  | 'BODY_TOO_LARGE'
  | 'URL_TOO_LONG'
  | 'WRONG_CONTENT_TYPE'
  | 'TOO_MANY_REQUESTS'
  | 'CONFLICT'
  | 'BUSY';

/** A request that is refused; the message is the one line its client is shown. */
export class HttpError extends RackbootError<HttpErrorCode> {
  override readonly name = 'HttpError';
}

/** The HTTP status of every error code a request can end in; whatever is not here is 500. */
const statuses: Readonly<Record<string, number>> = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  NO_ISO: 409,
  CONFLICT: 409,
  BAD_ANSWER: 409,
  BODY_TOO_LARGE: 413,
  URL_TOO_LONG: 414,
  WRONG_CONTENT_TYPE: 415,
  TOO_MANY_REQUESTS: 429,
  BUSY: 503,
  BAD_STAGE: 400,
  BAD_TARGET: 400,
  BAD_NAME: 400,
  NO_SUCH_NODE: 404,
  NO_SUCH_OSIMAGE: 404,
  NO_SUCH_GENERATION: 404,
  NO_SUCH_ENTRY: 404,
  MISSING_BLOB: 404,
  DATABASE_BUSY: 503,
  DATABASE_UNREACHABLE: 503,
  CLOSED: 503,
};

/** The HTTP status `error` is answered with. */
export function statusOf(error: unknown): number {
  return (error instanceof RackbootError ? statuses[codeOf(error) ?? ''] : undefined) ?? 500;
}

/** A 404 that names what is missing. */
export function notFound(what: string): HttpError {
  return new HttpError('NOT_FOUND', `there is no ${what.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)} here`);
}
