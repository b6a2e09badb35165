/** Whether a path below the source is excluded. Throws SyntaxError for what is no regular expression. */
export function exclusion(patterns: readonly string[]): (href: string) => boolean {
  const compiled = patterns.map((pattern) => new RegExp(pattern, 'u'));
  return (href) => compiled.some((pattern) => pattern.test(`/${href}`));
}
