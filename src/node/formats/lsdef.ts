import { writeStanzas } from './stanza.js';

/** An object as xCAT's lsdef prints it. */
export interface ListedObject {
  readonly name: string;
  readonly type: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** What lsdef's options ask for: -s, -l (its default), -c and -z; -i names the attributes. */
export interface ListForm {
  readonly kind: 'short' | 'long' | 'lines' | 'stanza';
  readonly only?: readonly string[];
}

/** `objects` in the exact format of lsdef, in their order; no final line break. */
export function listObjects(objects: readonly ListedObject[], { kind, only }: ListForm): string {
  switch (kind) {
    case 'short':
      return objects.map(({ name, type }) => `${name}  (${type})`).join('\n');
    case 'stanza':
      return writeStanzas(objects.map((object) => ({ ...object, attributes: chosen(object, only) })));
    case 'lines':
      return objects
        .flatMap((object) =>
          [...chosen(object, only)].map(([key, value]) => `${object.name}: ${key}=${value}`),
        )
        .join('\n');
    case 'long':
      return objects
        .map((object) =>
          [
            `Object name: ${object.name}`,
            ...[...chosen(object, only)].map(([key, value]) => `    ${key}=${value}`),
          ].join('\n'),
        )
        .join('\n');
  }
}

/** The attributes by name; those that are asked for are there even when they are unset. */
function chosen({ attributes }: ListedObject, only: readonly string[] | undefined): Map<string, string> {
  const kept = only?.map((key) => [key, attributes.get(key) ?? ''] as const) ?? [...attributes];
  return new Map([...kept].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
