/** What the head of an answer says that is a whole file in one run of bytes. */
export interface AnswerHead {
  readonly length: number; // bytes that follow it
  readonly modified?: number; // seconds
  readonly isKept: boolean; // whether the connection takes another request afterwards
}

const STATUS = /^HTTP\/1\.([01]) 200(?: |$)/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;

/**
 * Reads the head of an HTTP/1 answer (RFC 9112 § 2.1), without the empty line that ends it. Undefined for every answer but
 * 200 with the length of a body that is neither in chunks nor encoded: those are a whole HTTP client's.
 */
export function readAnswerHead(text: string): AnswerHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const minor = STATUS.exec(first)?.[1];
  if (minor === undefined) return undefined;
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = FIELD.exec(line) ?? [];
    const known = name.toLowerCase();
    if (known === '' || (known === 'content-length' && fields.has(known))) return undefined;
    fields.set(known, value);
  }
  const length = fields.get('content-length') ?? '';
  if (!/^\d{1,15}$/.test(length) || fields.has('transfer-encoding') || fields.has('content-encoding'))
    return undefined;
  const modified = Date.parse(fields.get('last-modified') ?? '') / 1000;
  return {
    length: Number(length),
    ...(Number.isFinite(modified) ? { modified } : {}),
    isKept: minor === '1' && !/\bclose\b/i.test(fields.get('connection') ?? ''),
  };
}
