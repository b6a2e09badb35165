import { ImageError } from '../../../image/errors.js';
import { PLACEHOLDERS, type ConfigTemplate, type Placeholder, type PlaceholderValues } from './types.js';

const PLACE = /@@([A-Za-z0-9_-]+)@@/;

const isPlaceholder = (name: string): name is Placeholder => PLACEHOLDERS.some((known) => known === name);

/**
 * The text with every `@@NAME@@` replaced, on every line as often as it stands there, by values as they are. Throws
 * ImageError BAD_LAYER, by file and line, for a name that is none, one without a value, and a value of several lines.
 */
export function fillTemplate({ where, text }: ConfigTemplate, values: PlaceholderValues): string {
  const fill = (line: string, at: number): string =>
    line.replace(new RegExp(PLACE, 'g'), (word, name: string) => {
      const fail = (why: string): ImageError => new ImageError('BAD_LAYER', `${where}:${at + 1}: ${word} ${why}`);
      if (!isPlaceholder(name))
        throw fail(`is no placeholder; there are ${PLACEHOLDERS.map((known) => `@@${known}@@`).join(', ')}`);
      const value = values[name];
      if (value === undefined) throw fail(`has no value in this file; ${MEND[name] ?? 'remove it'}`);
      if (/[\r\n]/.test(value)) throw fail('would be several lines; give a value of one');
      return value;
    });
  return text.split('\n').map(fill).join('\n');
}

/** Whether the text holds a placeholder, a known one or not. */
export const holdsPlaceholder = (text: string): boolean => PLACE.test(text);

/** Where a value would come from, for those that an operator can give. */
const MEND: Readonly<Partial<Record<Placeholder, string>>> = {
  SRCURL: 'give --srcurl URL, or --srcurl:LAYER URL for this layer',
  REPOID: 'it belongs into CUSTOMREPO.tmpl',
  REPOURL: 'it belongs into CUSTOMREPO.tmpl',
};
