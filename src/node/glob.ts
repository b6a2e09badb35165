/**
 * Whether the `/`-separated `path` matches `glob`: `*` and `?` within a component, `**` across components, `[a-z]` and
 * `[!a-z]` for one character. A glob without `/` is matched against the last component.
 */
export function matchesGlob(glob: string, path: string): boolean {
  const subject = glob.includes('/') ? path : path.slice(path.lastIndexOf('/') + 1);
  const source = glob.replace(/^\//, '').replace(/\*\*\/|\*\*|\*|\?|\[!?[^\]/]+\]|[^*?[]+|\[/g, (token) => {
    if (token === '**/') return '(?:[^/]*/)*';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.length > 1 && token.startsWith('[')) {
      const negated = token.startsWith('[!');
      const set = token.slice(negated ? 2 : 1, -1).replace(/[\\\]^]/g, '\\$&');
      return `[${negated ? '^/' : ''}${set}]`;
    }
    return token.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
  });
  return new RegExp(`^${source}$`, 's').test(subject);
}
