/** Bytes [start, end), never empty. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What to answer a GET or HEAD of bytes that have a strong ETag with; the ranges of a 206 do not overlap. */
export type ByteAnswer =
  | { readonly status: 200 }
  | { readonly status: 206; readonly ranges: readonly [ByteRange, ...ByteRange[]] }
  | { readonly status: 304 | 412 | 416 };

/** How many ranges one request may ask for; one that asks for more gets the whole (RFC 9110 §14.2, §17.15). */
export const MAX_RANGES = 16;

export interface ConditionalHeaders {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
  readonly 'if-range'?: string | undefined;
  readonly range?: string | undefined;
}

/**
 * The answer RFC 9110 §13.2.2 asks for. There is no Last-Modified, so dates never match. A malformed set of ranges, or
 * one of too many, is answered with the whole, as is one of an empty file (§14.2 allows it); HEAD knows no ranges.
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
  if (method === 'HEAD' || range === undefined || size === 0) return { status: 200 };
  const ifRange = headers['if-range'];
  if (ifRange !== undefined && ifRange.trim() !== etag) return { status: 200 };
  return parseRange(range, size);
}

function parseRange(text: string, size: number): ByteAnswer {
  const [, set = ''] = /^\s*bytes\s*=(.*)$/i.exec(text) ?? [];
  const specs = set
    .split(',', MAX_RANGES * 2)
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '');
  if (specs.length === 0 || specs.length > MAX_RANGES) return { status: 200 };
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = parseSpec(spec, size);
    if (range === undefined) return { status: 200 };
    if (range.start < range.end) ranges.push(range);
  }
  const [first, ...others] = joined(ranges);
  return first === undefined ? { status: 416 } : { status: 206, ranges: [first, ...others] };
}

/** The part of the file that `spec` asks for, empty when it lies outside; undefined when it is malformed. */
function parseSpec(spec: string, size: number): ByteRange | undefined {
  const [, first, last] = /^(\d*)\s*-\s*(\d*)$/.exec(spec) ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first === '') return { start: Math.max(0, size - Number(last)), end: size };
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  return { start: Math.min(start, size), end: last === '' ? size : Math.min(size, Number(last) + 1) };
}

/** `ranges` in the order they were asked for, each joined with those it touches: no byte is sent twice. */
function joined(ranges: readonly ByteRange[]): ByteRange[] {
  let result: ByteRange[] = [];
  for (const range of ranges) {
    const touches = ({ start, end }: ByteRange): boolean => start <= range.end && range.start <= end;
    const together = [...result.filter(touches), range];
    const joint = {
      start: Math.min(...together.map(({ start }) => start)),
      end: Math.max(...together.map(({ end }) => end)),
    };
    const at = result.findIndex(touches);
    if (at === -1) result.push(joint);
    else
      result = result
        .map((other, index) => (index === at ? joint : other))
        .filter((other, index) => index === at || !touches(other));
  }
  return result;
}

/** Whether the list `text` of an If-Match or If-None-Match holds `etag` (RFC 9110 §8.8.3.2). */
function listsTag(text: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (text.trim() === '*') return true;
  const tags = text.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) => tag === etag || (comparison === 'weak' && tag === `W/${etag}`));
}
