import { closest } from 'fastest-levenshtein';
import { NodeError } from './errors.js';
import { MAX_NAMES, namesBetween } from './number-range.js';
import { compile, parseSelection } from './selection.js';

/** What a noderange is read against. */
export interface NodeDirectory {
  readonly nodes: readonly string[];
  has(name: string): boolean;
  /** The members of a group, none for a group that is defined and empty, undefined for no such group. */
  group(name: string): readonly string[] | undefined;
  /** The value of a column or attribute for each node, or undefined when nothing has that column. */
  column?(name: string): ((node: string) => string) | undefined;
  /** The text of a node list file (`^/path`), or undefined when it cannot be read. */
  readList?(path: string): string | undefined;
}

/** How to read a noderange the way xCAT does. */
export interface CompatOptions {
  /** false: names nobody knows are taken as they are (xCAT's mkdef); true: they are missed. */
  readonly verify?: boolean;
  /** xCAT's site.excludenodes: a noderange taken away last. */
  readonly exclude?: string;
  /** What a bare number stands for: `1-3` is `node1-node3` (XCAT_NODE_PREFIX, XCAT_NODE_SUFFIX). */
  readonly prefix?: string;
  readonly suffix?: string;
}

/** Nodes sorted by code unit, as xCAT sorts; and the atoms nobody knows. */
export interface Expansion {
  readonly nodes: readonly string[];
  readonly missed: readonly string[];
}

/**
 * The nodes `text` names, sorted. Refuses what xCAT passes over in silence: an empty result, any unknown name, a
 * descending range, a missing list file, an attribute no node has. Throws NodeError.
 */
export function expandNoderange(text: string, directory: NodeDirectory): readonly string[] {
  const reading = new Reading(directory, { strict: true, verify: true, prefix: 'node', suffix: '' });
  const nodes = sorted(reading.evaluate(text));
  if (reading.missed.length > 0) throw unknownNodes(text, reading.missed, directory);
  const [doubt] = reading.doubts;
  if (doubt !== undefined) throw new NodeError('BAD_NODERANGE', `noderange '${text}': ${doubt}`);
  if (nodes.length === 0) {
    throw new NodeError(
      'EMPTY_NODERANGE',
      `noderange '${text}' selects no node; list them with: rackboot nodels`,
    );
  }
  return nodes;
}

/** What xCAT makes of `text`, quirks included (docs/xcat.md). Throws NodeError where xCAT dies. */
export function readCompatNoderange(
  text: string,
  directory: NodeDirectory,
  options: CompatOptions = {},
): Expansion {
  const settings = {
    strict: false,
    verify: options.verify ?? true,
    prefix: options.prefix ?? 'node',
    suffix: options.suffix ?? '',
  };
  const reading = new Reading(directory, settings);
  const nodes = reading.evaluate(text);
  if (options.exclude !== undefined) {
    const excluded = new Reading(directory, settings).evaluate(options.exclude);
    for (const node of excluded) nodes.delete(node);
  }
  return { nodes: sorted(nodes), missed: [...new Set(reading.missed)] };
}

function sorted(names: Iterable<string>): string[] {
  return [...names].sort(); // by code unit
}

function unknownNodes(text: string, missed: readonly string[], directory: NodeDirectory): NodeError {
  const named = [...new Set(missed)].map((name) => (name === '' ? "''" : name));
  const shown = named.slice(0, 10).join(', ') + (named.length > 10 ? ` and ${named.length - 10} more` : '');
  const nearest = directory.nodes.length > 0 ? closest(named[0] ?? '', [...directory.nodes]) : undefined;
  const mend =
    nearest === undefined
      ? 'no node is defined yet; add one with: rackboot node add'
      : `did you mean '${nearest}'? List all with: rackboot nodels`;
  return new NodeError(
    'UNKNOWN_NODES',
    `noderange '${text}': no node or group called ${shown}; nothing was done. ${mend.charAt(0).toUpperCase()}${mend.slice(1)}`,
  );
}

interface Settings {
  readonly strict: boolean;
  readonly verify: boolean;
  readonly prefix: string;
  readonly suffix: string;
}

/** The elements so far: exclusions are kept apart because they beat every inclusion, before or after. */
interface Selection {
  nodes: Set<string>;
  readonly excluded: Set<string>;
}

const MAX_DEPTH = 32;

class Reading {
  missed: string[] = [];
  /** What xCAT would pass over in silence. */
  readonly doubts: string[] = [];
  private depth = 0;
  private made = 0;

  constructor(
    private readonly directory: NodeDirectory,
    private readonly settings: Settings,
  ) {}

  evaluate(text: string): Set<string> {
    if (++this.depth > MAX_DEPTH)
      throw new NodeError('BAD_NODERANGE', 'noderange nests too deeply; use fewer parentheses');
    const selection: Selection = { nodes: new Set(), excluded: new Set() };
    this.walk(text.replace(/['"]/g, ''), selection);
    for (const node of selection.excluded) selection.nodes.delete(node);
    this.depth--;
    return selection.nodes;
  }

  private walk(text: string, selection: Selection): void {
    const open = text.indexOf('(');
    if (open < 0) {
      this.walkElements(text, selection);
      return;
    }
    const close = closingParenthesis(text, open);
    if (close < 0) throw new NodeError('BAD_NODERANGE', 'Unbalanced parentheses in noderange');
    const before = text.slice(0, open);
    const operator = before.endsWith('-') ? '-' : before.endsWith('@') ? '@' : '';
    this.walkElements(operator === '' ? before : before.slice(0, -1), selection);
    combine(selection, operator, this.evaluate(text.slice(open + 1, close)));
    this.walk(text.slice(close + 1), selection);
  }

  private walkElements(text: string, selection: Selection): void {
    let sticky = '';
    for (const element of this.elementsOf(text)) {
      const operator = /^[-@]/.exec(element)?.[0] ?? '';
      // After `@` a minus is swallowed: `compute@-rack1` intersects.
      const atom = operator === '@' ? element.slice(1).replace(/^-/, '') : element.slice(operator.length);
      if (!this.settings.strict && operator !== '' && atom.startsWith('^')) {
        // Quirk: an operator before a file does not apply to it; the minus sticks to the next element.
        combine(selection, '', this.expandAtom(atom));
        sticky = operator === '-' ? '-' : '';
        continue;
      }
      combine(selection, operator === '' ? sticky : operator, this.expandAtom(atom));
      sticky = '';
    }
  }

  private elementsOf(text: string): string[] {
    const trim = (element: string): string => (this.settings.strict ? element.trim() : element);
    const elements = splitOutsideBrackets(text, ',').map(trim);
    const [only, ...others] = elements.filter((element) => element !== '');
    if (only === undefined) return [];
    if (others.length > 0 || elements.length > 1) return [only, ...others];
    const [first = '', ...rest] = splitOutsideBrackets(only, '@').map(trim);
    return [...(first === '' ? [] : [first]), ...rest.filter((e) => e !== '').map((e) => `@${e}`)];
  }

  private expandAtom(atom: string): Iterable<string> {
    const { directory, settings } = this;
    if (directory.has(atom)) return [atom];
    if (atom.startsWith('^')) return this.expandFile(atom.slice(1));
    if (atom.includes('@')) return this.evaluate(atom);
    const members = directory.group(atom);
    if (members !== undefined) return members;
    if (/[=~]/.test(atom)) return this.select(atom);
    const shorthand = /^(\d+)(?:([-:+])(\d+))?$/.exec(atom);
    if (shorthand !== null) {
      const [, first = '', operator, second = ''] = shorthand;
      const full = (number: string): string => settings.prefix + number + settings.suffix;
      if (operator === '+') return this.expandAtom(`${full(first)}+${second}`);
      return operator === undefined
        ? this.expandKnown(full(first))
        : this.expandSpan(full(first), full(second), atom);
    }
    if (atom.startsWith('/')) return this.match(atom.slice(1));
    if (atom.includes('[')) return this.expandBracket(atom);
    if (atom.includes('+')) return this.expandPlus(atom);
    return this.expandRange(atom);
  }

  private expandRange(atom: string): Iterable<string> {
    if (atom.includes(':')) {
      const [first = '', last = ''] = atom.split(':');
      return this.expandSpan(first, last, atom);
    }
    const pieces = atom.split('-');
    if (pieces.length % 2 !== 0) return this.miss(atom);
    if (pieces[0] === '') return this.miss('');
    const middle = pieces.length / 2;
    return this.expandSpan(pieces.slice(0, middle).join('-'), pieces.slice(middle).join('-'), atom);
  }

  private expandSpan(first: string, last: string, atom: string): Iterable<string> {
    const names = namesBetween(first, last);
    if (names === 'not-a-range') return this.miss(atom);
    if (names === 'too-many') throw this.tooMany(atom);
    if (names.length === 0) this.doubts.push(`'${atom}' counts downwards; write the lower number first`);
    return this.expandEach(names, atom);
  }

  private expandBracket(atom: string): Iterable<string> {
    const open = atom.indexOf('[');
    const close = atom.indexOf(']', open);
    const prefix = atom.slice(0, open);
    if (prefix === '' || close <= open + 1) return this.miss(atom);
    const suffix = atom.slice(close + 1);
    const names: string[] = [];
    for (const item of atom.slice(open + 1, close).split(',')) {
      const [first = '', last] = item.split(/[-:]/);
      if (last === undefined) names.push(prefix + first + suffix);
      else if (!/^\d+$/.test(first) || !/^\d+$/.test(last)) {
        this.miss(`${prefix}${first}-${last === '' ? '' : prefix + last}`);
      } else {
        const between = namesBetween(first, last);
        if (between === 'too-many' || between === 'not-a-range') throw this.tooMany(atom);
        if (between.length === 0)
          this.doubts.push(`'${atom}' counts downwards; write the lower number first`);
        names.push(...between.map((number) => prefix + number + suffix));
      }
    }
    return this.expandEach(names, atom);
  }

  private expandPlus(atom: string): Iterable<string> {
    const plus = atom.indexOf('+');
    const base = atom.slice(0, plus);
    const count = /^\d+$/.test(atom.slice(plus + 1)) ? Number(atom.slice(plus + 1)) : 0;
    // The last number counts, and only a domain may follow it.
    const match = /^(.*?)(\d+)(\..*)?$/.exec(base);
    if (match === null)
      return this.miss(/\d/.test(base) ? '' : this.settings.strict ? base : this.settings.prefix);
    if (count >= MAX_NAMES) throw this.tooMany(atom);
    const [, prefix = '', number = '', domain = ''] = match;
    const names = Array.from({ length: count + 1 }, (_, n) => {
      const text = String(Number(number) + n);
      return prefix + (number.startsWith('0') ? text.padStart(number.length, '0') : text) + domain;
    });
    return this.expandEach(names, atom);
  }

  private expandEach(names: readonly string[], atom: string): Set<string> {
    this.made += names.length;
    if (this.made > MAX_NAMES) throw this.tooMany(atom);
    const nodes = new Set<string>();
    for (const name of names) {
      if (this.directory.has(name)) nodes.add(name);
      else for (const node of this.expandKnown(name)) nodes.add(node);
    }
    return nodes;
  }

  /** A made-up name: a node, a group, another bracket, or missed; never again a range. */
  private expandKnown(name: string): Iterable<string> {
    if (this.directory.has(name)) return [name];
    const members = this.directory.group(name);
    if (members !== undefined) return members;
    return name.includes('[') ? this.expandBracket(name) : this.miss(name);
  }

  private select(atom: string): Iterable<string> {
    const selection = parseSelection(atom);
    if (selection === undefined) {
      this.doubts.push(`'${atom}' is no selection; write attribute==value, !=, =~ or !~`);
      return [];
    }
    const valueOf = this.directory.column?.(selection.attribute);
    if (valueOf === undefined) {
      this.doubts.push(`no node has an attribute '${selection.attribute}'`);
      return [];
    }
    return this.directory.nodes.filter((node) => selection.matches(valueOf(node)));
  }

  private match(expression: string): Iterable<string> {
    const pattern = compile(`^${expression}$`, `/${expression}`);
    // Quirk: with no node defined xCAT tries the pattern on one empty name.
    const names = this.directory.nodes.length > 0 || this.settings.strict ? this.directory.nodes : [''];
    return names.filter((node) => pattern.test(node));
  }

  private expandFile(path: string): Set<string> {
    const text = this.directory.readList?.(path);
    const nodes = new Set<string>();
    if (text === undefined) {
      this.doubts.push(`cannot read the node list ${path}`);
      return nodes;
    }
    for (const line of text.split('\n')) {
      if (/^[#^]/.test(line)) continue;
      const range = this.settings.strict
        ? line.replace(/#.*/, '').trim()
        : (/^[^ \t:]*/.exec(line)?.[0] ?? '');
      if (range === '') continue;
      // Quirk: in xCAT each line of a file forgets what was missed before it.
      if (!this.settings.strict) this.missed = [];
      for (const node of this.evaluate(range)) nodes.add(node);
    }
    return nodes;
  }

  private miss(name: string): string[] {
    if (!this.settings.verify) return [name];
    this.missed.push(name);
    return [];
  }

  private tooMany(atom: string): NodeError {
    return new NodeError(
      'TOO_MANY_NODES',
      `'${atom}' stands for more than ${MAX_NAMES} names; check its numbers`,
    );
  }
}

function combine(selection: Selection, operator: string, names: Iterable<string>): void {
  if (operator === '-') {
    for (const name of names) selection.excluded.add(name);
  } else if (operator === '@') {
    const wanted = new Set(names);
    selection.nodes = new Set([...selection.nodes].filter((name) => wanted.has(name)));
  } else {
    for (const name of names) selection.nodes.add(name);
  }
}

function closingParenthesis(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '(') depth++;
    else if (text[at] === ')' && --depth === 0) return at;
  }
  return -1;
}

function splitOutsideBrackets(text: string, separator: string): string[] {
  const pieces: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '[') depth++;
    else if (text[at] === ']') depth = Math.max(0, depth - 1);
    else if (text[at] === separator && depth === 0) {
      pieces.push(text.slice(start, at));
      start = at + 1;
    }
  }
  pieces.push(text.slice(start));
  return pieces;
}
