import { NodeError } from './errors.js';

/** A condition on one attribute, as noderanges, dynamic groups and `-w` write it: `arch==x86_64`. */
export interface Selection {
  readonly attribute: string;
  readonly operator: '==' | '!=' | '=~' | '!~';
  readonly value: string;
  /** Whether an attribute's value, '' for none, fulfils it. */
  matches(value: string): boolean;
}

/** `text` as a selection; `=` is `==`. Undefined when it has no operator. Throws NodeError BAD_NODERANGE for a bad regular expression. */
export function parseSelection(text: string): Selection | undefined {
  const match = /^([^=!~]+)(==|=~|!=|!~|=)(.*)$/s.exec(text);
  if (match === null) return undefined;
  const [, attribute = '', sign = '', value = ''] = match;
  const operator = sign === '=' ? '==' : (sign as Selection['operator']);
  return { attribute, operator, value, matches: matcher(operator, value, text) };
}

/** Every one of `texts` as a selection. Throws NodeError BAD_NODERANGE. */
export function parseSelections(texts: readonly string[]): readonly Selection[] {
  return texts.map((text) => {
    const selection = parseSelection(text);
    if (selection !== undefined) return selection;
    throw new NodeError(
      'BAD_NODERANGE',
      `'${text.slice(0, 80)}' is no selection; write attribute==value, or one of != =~ !~ between them`,
    );
  });
}

/** A selection as it is written. */
export function writeSelection({ attribute, operator, value }: Selection): string {
  return attribute + operator + value;
}

function matcher(operator: Selection['operator'], wanted: string, text: string): (value: string) => boolean {
  if (operator === '==') return (value) => value === wanted;
  if (operator === '!=') return (value) => value !== wanted;
  const pattern = compile(wanted.replace(/^\/(.*)\/$/s, '$1'), text);
  return (value) => pattern.test(value) === (operator === '=~');
}

/** The regular expression `source`, which is part of `text`. Throws NodeError BAD_NODERANGE. */
export function compile(source: string, text: string): RegExp {
  try {
    return new RegExp(source);
  } catch (error) {
    throw new NodeError('BAD_NODERANGE', `'${text}' is not a regular expression; check its brackets`, {
      cause: error,
    });
  }
}
