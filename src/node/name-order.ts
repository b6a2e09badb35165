const collator = new Intl.Collator('en', { numeric: true });

/** `items` as people count: `n2` before `n10`, for lists that are looked at. Names that differ in zeros alone go by their bytes. */
export function inNameOrder<T>(items: readonly T[], nameOf: (item: T) => string): readonly T[] {
  return items
    .map((item) => ({ item, name: nameOf(item) }))
    .sort((a, b) => collator.compare(a.name, b.name) || (a.name < b.name ? -1 : Number(a.name > b.name)))
    .map(({ item }) => item);
}
