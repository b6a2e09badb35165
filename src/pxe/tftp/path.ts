/** The longest path, in bytes of UTF-8. */
const MAX_PATH = 1024;

/**
 * The relative path a client means by `bytes`: UTF-8, `\` read as `/`, leading slashes dropped, empty and `.`
 * components dropped. Undefined when it is not a path inside the published tree: a `..` component, a control character,
 * text that is not UTF-8, nothing at all, or more than 1024 bytes.
 */
export function normalizePath(bytes: Buffer): string | undefined {
  if (bytes.length > MAX_PATH) return undefined;
  const text = bytes.toString('utf8');
  if (text.includes('\ufffd') || /[\x00-\x1f\x7f]/.test(text)) return undefined;
  const parts = text.split(/[/\\]/).filter((part) => part !== '' && part !== '.');
  return parts.length === 0 || parts.includes('..') ? undefined : parts.join('/');
}
