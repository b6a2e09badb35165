import path from 'node:path';

/** The attributes that name files which imgexport puts into its bundle. */
export const LISTS: readonly string[] = [
  ...['template', 'pkglist', 'otherpkglist', 'postinstall', 'exlist', 'synclists'],
];

/** The file that an item of a list names: a script may have arguments behind it. */
export const fileOfItem = (item: string): string => item.trim().split(/\s+/)[0] ?? '';

/** The items of a comma list. */
export const itemsOf = (list: string): string[] =>
  list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** The items of `list` whose files are among `names`, and those whose files are not. */
export function withoutMissing(
  list: string,
  names: ReadonlySet<string>,
): { readonly kept: string; readonly lost: readonly string[] } {
  const isThere = (item: string): boolean => names.has(path.posix.basename(fileOfItem(item)));
  const items = itemsOf(list);
  return { kept: items.filter(isThere).join(','), lost: items.filter((item) => !isThere(item)) };
}
