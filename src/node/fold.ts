/**
 * `names` as a short noderange: `n1,n2,n3,x` → `n[1-3],x`, and in several numbers where all their combinations are there:
 * `r1n1,r1n2,r2n1,r2n2` → `r[1-2]n[1-2]`. Expanding the result gives the same names.
 */
export function foldNames(names: readonly string[]): string {
  const most = Math.max(0, ...[...new Set(names)].map((name) => numbersIn(name).length));
  let folded: readonly Piece[] = [...new Set(names)].map((name) => numbersIn(name));
  // From the last number to the first: what is equal in all other places becomes one.
  for (let fromEnd = 1; fromEnd <= most; fromEnd++) folded = foldNumber(folded, fromEnd);
  return folded
    .map((piece) => piece.text.map((text, at) => text + (piece.numbers[at] ?? '')).join(''))
    .sort()
    .join(',');
}

/** A name taken apart: `text[0] numbers[0] text[1] … text.at(-1)`; a number is one or becomes `[1-3]`. */
interface Piece {
  readonly text: readonly string[];
  readonly numbers: readonly string[];
  readonly length: number; // of `numbers`
}

/** Numbers longer than this are text: they are nobody's count, and JavaScript’s numbers end before. */
const LONGEST = 15;

function numbersIn(name: string): Piece {
  const pieces = name.split(/(\d+)/);
  const text: string[] = [];
  const numbers: string[] = [];
  let pending = '';
  for (const [at, piece] of pieces.entries()) {
    // Digits that a name begins with are no number: brackets need a text before them.
    if (at % 2 === 0 || piece.length > LONGEST || pending === '') pending += piece;
    else {
      text.push(pending);
      numbers.push(piece);
      pending = '';
    }
  }
  return { text: [...text, pending], numbers, length: numbers.length };
}

function foldNumber(pieces: readonly Piece[], fromEnd: number): Piece[] {
  const families = new Map<string, { first: Piece; at: number; numbers: string[] }>();
  const folded: Piece[] = [];
  for (const piece of pieces) {
    const at = piece.length - fromEnd;
    if (at < 0) {
      folded.push(piece);
      continue;
    }
    const key = JSON.stringify([piece.text, piece.numbers.slice(0, at), piece.numbers.slice(at + 1)]);
    const family = families.get(key);
    if (family === undefined) families.set(key, { first: piece, at, numbers: [piece.numbers[at] ?? ''] });
    else family.numbers.push(piece.numbers[at] ?? '');
  }
  for (const { first, at, numbers } of families.values()) {
    const one = numbers.length === 1 ? (numbers[0] ?? '') : `[${runsOf(numbers).join(',')}]`;
    folded.push({ ...first, numbers: first.numbers.map((number, place) => (place === at ? one : number)) });
  }
  return folded;
}

function runsOf(numbers: readonly string[]): string[] {
  const left = new Set([...numbers].sort((a, b) => Number(a) - Number(b) || a.length - b.length));
  const runs: string[] = [];
  for (const first of left) {
    left.delete(first);
    let last = first;
    for (let next = successor(last, first); left.delete(next); next = successor(last, first)) last = next;
    runs.push(first === last ? first : `${first}-${last}`);
  }
  return runs;
}

/** The number after `last` in a run that began with `first`, whose leading zeros give the width. */
function successor(last: string, first: string): string {
  const next = String(Number(last) + 1);
  return first.length > 1 && first.startsWith('0') ? next.padStart(first.length, '0') : next;
}
