/** A request target taken apart. */
export interface RequestPath {
  readonly segments: readonly string[]; // decoded; none is empty, `.`, `..`, or holds `/`, NUL or a control character
  readonly query: URLSearchParams;
}

/** The longest request target that is read, in characters. */
export const MAX_URL = 4096;

/**
 * The path and query of a request target in origin form. Double slashes count as one (UEFI HTTP Boot sends them and
 * does not follow a redirect). Undefined for what can name nothing: another form, bad percent-encoding, and every way
 * of climbing out.
 */
export function parseRequestPath(target: string): RequestPath | undefined {
  if (!target.startsWith('/') || target.length > MAX_URL) return undefined;
  const [, path = '', query = ''] = /^([^?#]*)(?:\?([^#]*))?/.exec(target) ?? [];
  const segments: string[] = [];
  for (const raw of path.split('/')) {
    if (raw === '') continue;
    const segment = decode(raw);
    if (segment === undefined || segment === '.' || segment === '..' || /[/\x00-\x1f\x7f]/.test(segment))
      return undefined;
    segments.push(segment);
  }
  return { segments, query: new URLSearchParams(query) };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
