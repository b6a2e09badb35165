import { distance } from 'fastest-levenshtein';

/** The one of `names` that `text` was most likely meant to be, or undefined when none is near. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  const [first] = names
    .map((name) => ({ name, away: distance(text.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.away - b.away);
  return first !== undefined && first.away <= Math.max(2, Math.floor(text.length / 3))
    ? first.name
    : undefined;
}
