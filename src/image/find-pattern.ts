/** A pattern as `find -path` reads it, ready to be matched with paths (latin-1, one character a byte). */
export type FindPattern = (path: string) => boolean;

/** One place of a pattern: any run of bytes, or one byte of a set. */
type Token = 'run' | ReadonlySet<number>;

const ANY = new Set(Array.from({ length: 256 }, (_, byte) => byte));

/** ctype(3) in the C locale. */
const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  cntrl: /[\x00-\x1f\x7f]/,
  digit: /[0-9]/,
  graph: /[\x21-\x7e]/,
  lower: /[a-z]/,
  print: /[\x20-\x7e]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[ \t-\r]/,
  upper: /[A-Z]/,
  xdigit: /[0-9A-Fa-f]/,
};

/**
 * What `find -path` matches with `pattern` in the C locale: fnmatch(3) without flags, so that `*`, `?` and `[…]` match
 * a `/` and a leading dot like any other byte, and `\` takes a special meaning away.
 */
export function findPattern(pattern: string): FindPattern {
  const tokens = parse(pattern);
  return tokens === undefined ? () => false : (path) => matches(tokens, path);
}

/** The places of a pattern; undefined for one that matches nothing. */
function parse(pattern: string): Token[] | undefined {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length;) {
    const char = pattern.charAt(at);
    if (char === '*') {
      if (tokens.at(-1) !== 'run') tokens.push('run');
      at++;
    } else if (char === '?') {
      tokens.push(ANY);
      at++;
    } else if (char === '[') {
      const bracket = parseBracket(pattern, at + 1);
      if (bracket === 'invalid') return undefined;
      tokens.push(bracket === undefined ? only('[') : bracket.set);
      at = bracket === undefined ? at + 1 : bracket.end;
    } else {
      if (char === '\\') at++;
      if (at === pattern.length) return undefined; // a backslash with nothing behind it
      tokens.push(only(pattern.charAt(at)));
      at++;
    }
  }
  return tokens;
}

const only = (char: string): Set<number> => new Set([char.charCodeAt(0)]);

type Bracket = { readonly set: ReadonlySet<number>; readonly end: number };

/**
 * The bracket expression whose inside begins at `from`. Undefined when nothing closes it, and `[` stands for itself
 * (POSIX 1003.1 §2.13.1).
 */
function parseBracket(pattern: string, from: number): Bracket | undefined | 'invalid' {
  const set = new Set<number>();
  const negated = pattern[from] === '!' || pattern[from] === '^';
  const first = negated ? from + 1 : from;
  for (let at = first; at < pattern.length;) {
    if (pattern[at] === ']' && at > first) {
      return { set: negated ? new Set([...ANY].filter((byte) => !set.has(byte))) : set, end: at + 1 };
    }
    const named = /^\[:([a-z]*):\]/.exec(pattern.slice(at));
    if (named !== null) {
      const test = CLASSES[named[1] ?? ''];
      if (test === undefined) return 'invalid';
      for (const byte of ANY) if (test.test(String.fromCharCode(byte))) set.add(byte);
      at += named[0].length;
      continue;
    }
    const low = parseElement(pattern, at);
    if (low === undefined) return undefined;
    at = low.end;
    if (pattern[at] === '-' && at + 1 < pattern.length && pattern[at + 1] !== ']') {
      const high = parseElement(pattern, at + 1);
      if (high === undefined) return undefined;
      for (let byte = low.byte; byte <= high.byte; byte++) set.add(byte);
      at = high.end;
    } else set.add(low.byte);
  }
  return undefined;
}

/** One byte inside a bracket expression: itself, escaped, or as `[.x.]` or `[=x=]`. */
function parseElement(
  pattern: string,
  at: number,
): { readonly byte: number; readonly end: number } | undefined {
  const named = /^\[([.=])([^])\1\]/.exec(pattern.slice(at));
  if (named !== null) return { byte: (named[2] ?? '').charCodeAt(0), end: at + named[0].length };
  const escaped = pattern[at] === '\\' ? at + 1 : at;
  if (escaped >= pattern.length) return undefined;
  return { byte: pattern.charCodeAt(escaped), end: escaped + 1 };
}

/** Takes time proportional to the lengths' product at worst: a failed run is only ever tried again from the last `*`. */
function matches(tokens: readonly Token[], path: string): boolean {
  let token = 0;
  let at = 0;
  let run = -1; // the last `*` …
  let taken = 0; // … and where what it takes ends
  while (at < path.length) {
    const here = tokens[token];
    if (here === 'run') {
      run = token++;
      taken = at;
    } else if (here?.has(path.charCodeAt(at)) === true) {
      token++;
      at++;
    } else if (run >= 0) {
      token = run + 1;
      at = ++taken;
    } else return false;
  }
  while (tokens[token] === 'run') token++;
  return token === tokens.length;
}
