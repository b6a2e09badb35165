import { isMap, isPair, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';
import { messageOf } from '../errors.js';
import { configJsonSchema, siteConfigSchema, type SiteConfig } from './config.js';
import { SiteError } from './errors.js';
import { nearest } from './nearest.js';

type Path = readonly PropertyKey[];

interface Problem {
  readonly line: number;
  readonly text: string;
}

/**
 * The configuration in the text of a rackboot.yaml; `file` is the name its errors carry. Throws SiteError BAD_CONFIG
 * with the line of the first problem: a syntax error, an unknown key (with the likely one), a value out of range.
 */
export function parseConfig(text: string, file: string): SiteConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntax = document.errors[0];
  if (syntax !== undefined) {
    const [at] = syntax.pos;
    const text =
      syntax.code === 'MULTIPLE_DOCS'
        ? 'a second document begins; keep one'
        : ((syntax.code === 'DUPLICATE_KEY' ? secondKey(document, at, lines) : undefined) ??
          messageOf(syntax));
    throw new SiteError('BAD_CONFIG', `${file} line ${lines.linePos(at).line}: ${text}`);
  }
  const result = siteConfigSchema.safeParse(plainValue(document, file), { reportInput: true });
  if (result.success) return result.data;
  const problems = result.error.issues
    .flatMap((issue) => describeIssue(issue, document, lines))
    .sort((a, b) => a.line - b.line);
  const rest = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  throw new SiteError(
    'BAD_CONFIG',
    `${file} line ${problems[0]?.line ?? 1}: ${problems[0]?.text ?? 'not valid'}${rest}`,
  );
}

/** Which key stands at offset `at` though its map has it already, and where. */
function secondKey(document: Document.Parsed, at: number, lines: LineCounter): string | undefined {
  let found: string | undefined;
  visit(document, {
    Map(_key, { items }, parents) {
      const keys = items.flatMap(({ key }) => (isScalar(key) ? [key] : []));
      const second = keys.find(({ range }) => range?.[0] === at);
      if (second === undefined) return undefined;
      const first = keys.find(({ value }) => value === second.value);
      const path = parents.flatMap((parent) =>
        isPair(parent) && isScalar(parent.key) ? [String(parent.key.value)] : [],
      );
      const line = lines.linePos(first?.range?.[0] ?? at).line;
      found = `${[...path, String(second.value)].join('.')} is set a second time, first on line ${line}; keep one`;
      return visit.BREAK;
    },
  });
  return found;
}

/** The document as plain values. An empty file is an empty configuration, and `key:` with nothing behind it is unset. */
function plainValue(document: Document.Parsed, file: string): unknown {
  try {
    return unsetNulls(document.toJS({ maxAliasCount: 100 })) ?? {};
  } catch (cause) {
    throw new SiteError('BAD_CONFIG', `${file}: ${messageOf(cause)}`, { cause });
  }
}

function unsetNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unsetNulls);
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unsetNulls(item)]));
}

function describeIssue(issue: z.core.$ZodIssue, document: Document.Parsed, lines: LineCounter): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      line: lineOf(document, lines, [...issue.path, key]),
      text: unknownKey(key, issue.path),
    }));
  }
  const name = issue.path.length === 0 ? 'the file' : issue.path.map(String).join('.');
  return [{ line: lineOf(document, lines, issue.path), text: `${name} ${complaint(issue)}` }];
}

function complaint(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is missing';
      return issue.message.startsWith('must') ? issue.message : `must be ${withArticle(issue.expected)}`;
    case 'invalid_value':
      return `must be ${oneOf(issue.values.map(String))}`;
    case 'invalid_union':
      return `must be ${listAlternatives(issue.errors)}`;
    case 'invalid_key':
      return issue.issues[0]?.message ?? 'is not a valid key';
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : issue.message;
    default:
      return issue.message;
  }
}

function listAlternatives(errors: readonly (readonly z.core.$ZodIssue[])[]): string {
  const each = errors.map((issues) =>
    issues[0] === undefined ? '' : complaint(issues[0]).replace(/^must be /, ''),
  );
  return [...new Set(each)].filter((text) => text !== '').join(', or ');
}

function withArticle(type: string): string {
  if (type === 'object' || type === 'record') return 'a mapping of keys to values';
  if (type === 'array') return 'a list';
  return type === 'int' ? 'a whole number' : `a ${type}`;
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? `'${values[0] ?? ''}'` : `one of: ${values.join(', ')}`;
}

function unknownKey(key: string, parent: Path): string {
  const known = keysAt(parent);
  const near = nearest(key, known);
  const where = parent.length === 0 ? '' : ` in '${parent.map(String).join('.')}'`;
  const mend = near === undefined ? `known ones: ${known.join(', ')}` : `did you mean '${near}'?`;
  return `unknown key '${key}'${where}; ${mend}`;
}

function keysAt(path: Path): string[] {
  let schema: z.core.JSONSchema.BaseSchema = configJsonSchema();
  for (const step of path) {
    const next = typeof step === 'number' ? schema.items : schema.properties?.[String(step)];
    if (typeof next !== 'object' || Array.isArray(next)) return [];
    schema = next;
  }
  return Object.keys(schema.properties ?? {});
}

/** The line of the key at `path`, or of the nearest thing around it that the file does hold. */
function lineOf(document: Document.Parsed, lines: LineCounter, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const parent: unknown =
      length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    const pair = isMap(parent)
      ? parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
      : undefined;
    const node: unknown = pair?.key ?? document.getIn(path.slice(0, length), true);
    const offset = rangeStart(node);
    if (offset !== undefined) return lines.linePos(offset).line;
  }
  return 1;
}

function rangeStart(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range))
    return undefined;
  const start: unknown = node.range[0];
  return typeof start === 'number' ? start : undefined;
}
