import type { Command } from 'commander';
import { listObjects, type ListedObject, type ListForm } from '../../node/formats/lsdef.js';
import { findGeneration } from '../../osimage/find.js';
import { manifestOf } from '../../osimage/manifest.js';
import { osimageObject, requireOsimageAttribute } from '../../osimage/xcat/attributes.js';
import type { Store } from '../../store/records.js';
import type { Context } from '../context.js';

/** The options that have osimages listed as xCAT's lsdef lists objects. */
export interface LsdefOptions {
  readonly short?: boolean;
  readonly long?: boolean;
  readonly lines?: boolean;
  readonly stanza?: boolean;
  readonly attributes?: readonly string[];
  readonly where?: readonly string[];
}

/** Adds those options, all of which make the output that of lsdef. */
export function withLsdefOptions(command: Command): Command {
  return command
    .option('-l, --long', 'as lsdef -l: every attribute')
    .option('-i, --attributes <list>', 'as lsdef -i: these attributes, set or not', (text) => text.split(','))
    .option('-c, --lines', 'as lsdef -c: a line for each attribute')
    .option('-z, --stanza', 'as lsdef -z: a stanza file');
}

/** The form that `options` ask for, or undefined when they ask for none. */
export function lsdefForm(options: LsdefOptions): ListForm | undefined {
  const { short, long, lines, stanza, attributes, where } = options;
  const only = attributes === undefined ? {} : { only: attributes };
  for (const name of attributes ?? []) requireOsimageAttribute(name);
  if (stanza === true) return { kind: 'stanza', ...only };
  if (lines === true) return { kind: 'lines', ...only };
  if (long === true || attributes !== undefined) return { kind: 'long', ...only };
  return short === true || where !== undefined ? { kind: 'short' } : undefined;
}

/** The osimage that `reference` means, as an object. */
export async function osimageListed(store: Store, reference: string): Promise<ListedObject> {
  const record = await findGeneration(store, reference);
  return { name: record.osimage, type: 'osimage', attributes: osimageObject(manifestOf(record)) };
}

/** Prints `objects` as lsdef does; --json gives their attributes by name. */
export function printListed(context: Context, objects: readonly ListedObject[], form: ListForm): void {
  const json = objects.map(({ name, attributes }) => ({ name, attributes: Object.fromEntries(attributes) }));
  context.print(json, () =>
    objects.length === 0 ? 'No object definitions have been found' : listObjects(objects, form),
  );
}
