import { NodeError } from '../errors.js';

/**
 * What the value of a row for a group comes to for `node` (xCAT's man page xcatdb(5)): `/pattern/text/` replaces what
 * matches in the node's name; `|pattern|text|` also computes what stands in parentheses, with whole numbers; any other
 * value is itself. Undefined when the pattern does not match. Throws NodeError BAD_IMPORT for what cannot be read.
 */
export function expandValue(value: string, node: string): string | undefined {
  const separator = value[0];
  if (separator !== '/' && separator !== '|') return value;
  const [, pattern = '', text, tail, ...more] = value.split(separator);
  if (text === undefined || tail !== '' || more.length > 0) {
    // A path is a value like any other; xCAT's short form |text| takes the numbers of the name by themselves.
    if (separator === '/' || text !== '') return value;
    return compute(pattern, ['', ...(node.match(/\d+/g) ?? [])], value);
  }
  const match = compileFor(pattern, value).exec(node);
  if (match === null) return undefined;
  const groups = match.map((group: string | undefined) => group ?? '');
  const replaced = separator === '|' ? compute(text, groups, value) : fill(text, groups);
  return node.slice(0, match.index) + replaced + node.slice(match.index + (match[0]?.length ?? 0));
}

/** Perl's \z and \Z are the end of the name. */
function compileFor(pattern: string, value: string): RegExp {
  try {
    return new RegExp(pattern.replace(/\\[zZ]/g, '$'));
  } catch (error) {
    throw unreadable(value, error);
  }
}

function fill(text: string, groups: readonly string[]): string {
  return text.replace(/\$(?:(\d)|\{(\d)\})/g, (_all, a?: string, b?: string) => groups[Number(a ?? b)] ?? '');
}

/** `text` with its groups filled in and every outermost parenthesis computed. */
function compute(text: string, groups: readonly string[], value: string): string {
  let result = '';
  let at = 0;
  while (at < text.length) {
    if (text[at] !== '(') {
      const next = text.indexOf('(', at);
      const end = next < 0 ? text.length : next;
      result += fill(text.slice(at, end), groups);
      at = end;
      continue;
    }
    const reader = new Arithmetic(text, at, groups, value);
    result += reader.group();
    at = reader.at;
  }
  return result;
}

/** Whole-number arithmetic with + - * / %, parentheses, $1 … $9 and sprintf('%02d', …). */
class Arithmetic {
  private depth = 0;

  constructor(
    private readonly text: string,
    public at: number,
    private readonly groups: readonly string[],
    private readonly value: string,
  ) {}

  /** What stands in parentheses, as text. */
  group(): string {
    this.expect('(');
    const result = this.formatted() ?? String(this.sum());
    this.expect(')');
    return result;
  }

  private formatted(): string | undefined {
    const call = /^\s*sprintf\(\s*['"]%(0?)(\d*)d['"]\s*,/.exec(this.text.slice(this.at));
    if (call === null) return undefined;
    this.at += call[0].length;
    const number = String(this.sum());
    this.expect(')');
    return number.padStart(Math.min(Number(call[2]), 64), call[1] === '0' ? '0' : ' ');
  }

  private sum(): number {
    let left = this.product();
    for (;;) {
      const operator = this.take(/[+-]/);
      if (operator === undefined) return left;
      const right = this.product();
      left = operator === '+' ? left + right : left - right;
    }
  }

  private product(): number {
    let left = this.factor();
    for (;;) {
      const operator = this.take(/[*/%]/);
      if (operator === undefined) return left;
      const right = this.factor();
      if (operator !== '*' && right === 0) throw unreadable(this.value);
      // Perl under `use integer`.
      left = operator === '*' ? left * right : operator === '/' ? Math.trunc(left / right) : left % right;
    }
  }

  private factor(): number {
    const number = this.take(/\d+|\$\d|\$\{\d\}/);
    if (number !== undefined) {
      const text = number.startsWith('$') ? (this.groups[Number(/\d/.exec(number)?.[0])] ?? '') : number;
      if (!/^\d{1,15}$/.test(text)) throw unreadable(this.value);
      return Number(text);
    }
    if (++this.depth > 32) throw unreadable(this.value);
    this.expect('(');
    const inner = this.sum();
    this.expect(')');
    this.depth--;
    return inner;
  }

  private take(pattern: RegExp): string | undefined {
    const [all, token] = new RegExp(`^\\s*(${pattern.source})`).exec(this.text.slice(this.at)) ?? [];
    if (all !== undefined) this.at += all.length;
    return token;
  }

  private expect(letter: string): void {
    if (this.take(new RegExp(`\\${letter}`)) === undefined) throw unreadable(this.value);
  }
}

function unreadable(value: string, cause?: unknown): NodeError {
  return new NodeError(
    'BAD_IMPORT',
    `the expression ${JSON.stringify(value.slice(0, 80))} cannot be computed; export the nodes with: lsdef -t node -l -z`,
    { cause },
  );
}
