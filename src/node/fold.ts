/**
 * `names` as a short noderange: `n1,n2,n3,x` → `n[1-3],x`. Expanding the result gives the same names. Only the last
 * number of a name is folded.
 */
export function foldNames(names: readonly string[]): string {
  const families = new Map<string, { prefix: string; suffix: string; numbers: string[] }>();
  const plain: string[] = [];
  for (const name of new Set(names)) {
    const match = /^(.*?[^\d])(\d+)(\D*)$/s.exec(name);
    if (match === null) {
      plain.push(name);
      continue;
    }
    const [, prefix = '', number = '', suffix = ''] = match;
    const key = `${prefix}\0${suffix}`;
    const family = families.get(key) ?? { prefix, suffix, numbers: [] };
    family.numbers.push(number);
    families.set(key, family);
  }
  const folded = [...families.values()].map(({ prefix, suffix, numbers }) => {
    const [only, ...others] = numbers;
    if (only !== undefined && others.length === 0) return prefix + only + suffix;
    return `${prefix}[${runsOf(numbers).join(',')}]${suffix}`;
  });
  return [...folded, ...plain].sort().join(',');
}

function runsOf(numbers: readonly string[]): string[] {
  const left = [...numbers].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  left.sort((a, b) => Number(a) - Number(b));
  const runs: string[] = [];
  for (let first = left.shift(); first !== undefined; first = left.shift()) {
    let last = first;
    for (;;) {
      const wanted = successor(last, first);
      const at = left.indexOf(wanted);
      if (at < 0) break;
      left.splice(at, 1);
      last = wanted;
    }
    runs.push(first === last ? first : `${first}-${last}`);
  }
  return runs;
}

/** The number after `last` in a run that began with `first`, whose leading zeros give the width. */
function successor(last: string, first: string): string {
  const next = String(Number(last) + 1);
  return first.length > 1 && first.startsWith('0') ? next.padStart(first.length, '0') : next;
}
