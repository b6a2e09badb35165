/** What to answer a GET or HEAD of bytes that have a strong ETag with. Byte ranges are [start, end). */
export type ByteAnswer =
  | { readonly status: 200 }
  | { readonly status: 206; readonly start: number; readonly end: number }
  | { readonly status: 304 | 412 | 416 };

export interface ConditionalHeaders {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
  readonly 'if-range'?: string | undefined;
  readonly range?: string | undefined;
}

/**
 * The answer RFC 9110 §13.2.2 asks for. There is no Last-Modified, so dates never match. A range that is malformed, or
 * several of them, is answered with the whole (§14.2 allows it); HEAD knows no ranges.
 */
export function answerBytes(
  method: 'GET' | 'HEAD',
  headers: ConditionalHeaders,
  etag: string,
  size: number,
): ByteAnswer {
  const match = headers['if-match'];
  if (match !== undefined && !listsTag(match, etag, 'strong')) return { status: 412 };
  const noneMatch = headers['if-none-match'];
  if (noneMatch !== undefined && listsTag(noneMatch, etag, 'weak')) return { status: 304 };
  const { range } = headers;
  if (method === 'HEAD' || range === undefined) return { status: 200 };
  const ifRange = headers['if-range'];
  if (ifRange !== undefined && ifRange.trim() !== etag) return { status: 200 };
  return parseRange(range, size);
}

function parseRange(text: string, size: number): ByteAnswer {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(text);
  if (match === null) return { status: 200 };
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return { status: 200 };
  if (first === '') {
    const start = Math.max(0, size - Number(last));
    return start < size ? { status: 206, start, end: size } : { status: 416 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return { status: 200 };
  if (start >= size) return { status: 416 };
  return { status: 206, start, end: last === '' ? size : Math.min(size, Number(last) + 1) };
}

/** Whether the list `text` of an If-Match or If-None-Match holds `etag` (RFC 9110 §8.8.3.2). */
function listsTag(text: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (text.trim() === '*') return true;
  const tags = text.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) => tag === etag || (comparison === 'weak' && tag === `W/${etag}`));
}
