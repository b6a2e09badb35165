/** How many names one expansion may make before it is refused: a typing error, not a cluster. */
export const MAX_NAMES = 100_000;

/**
 * The numbers from `first` to `last` as text, the way xCAT counts (Perl's `..` on strings): a first number with a
 * leading zero keeps its width and ends where the text equals `last` or grows longer than it; otherwise the numbers are
 * unpadded. Descending gives nothing. Undefined when there would be more than MAX_NAMES.
 */
function countBetween(first: string, last: string): string[] | undefined {
  const names: string[] = [];
  const padded = first.length > 1 && first.startsWith('0');
  const end = Number(last);
  for (let n = Number(first); ; n++) {
    const text = padded ? String(n).padStart(first.length, '0') : String(n);
    if (padded ? text.length > last.length : n > end) return names;
    if (names.length >= MAX_NAMES) return undefined;
    names.push(text);
    if (padded && text === last) return names;
  }
}

/**
 * The names from `first` to `last` where exactly one number differs (or none): `n1`, `n4` → n1 n2 n3 n4. `not-a-range`
 * when more differs than one number, `too-many` past MAX_NAMES.
 */
export function namesBetween(first: string, last: string): string[] | 'not-a-range' | 'too-many' {
  const left = first.split(/(\d+)/);
  const right = last.split(/(\d+)/);
  if (left.length !== right.length) return 'not-a-range';
  const differing = left.flatMap((piece, at) => (piece === right[at] ? [] : [at]));
  const [at, ...others] = differing;
  if (others.length > 0) return 'not-a-range';
  if (at === undefined) return [first];
  if (at % 2 === 0) return 'not-a-range';
  const numbers = countBetween(left[at] ?? '', right[at] ?? '');
  if (numbers === undefined) return 'too-many';
  return numbers.map((number) => [...left.slice(0, at), number, ...left.slice(at + 1)].join(''));
}
