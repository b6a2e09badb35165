import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { codeOf, messageOf } from '../../errors.js';
import { NodeError } from '../../node/errors.js';
import { readDefinitionFile } from '../../node/formats/definition-file.js';
import { buildGeneration } from '../../osimage/build.js';
import { findOsimage } from '../../osimage/find.js';
import { shownSetting, shownSettings } from '../../osimage/hidden-words.js';
import { editAttributes, type AttributeEdit } from '../../osimage/xcat/attributes.js';
import type { Store } from '../../store/records.js';
import { type Context, UsageError } from '../context.js';

interface SetOptions {
  readonly plus?: readonly AttributeEdit[];
  readonly minus?: readonly AttributeEdit[];
  readonly stanza?: string;
}

/** `image set`: an osimage's xCAT attributes. */
export function registerImageSet(image: Command, context: Context): void {
  image
    .command('set')
    .summary('change xCAT’s attributes of osimages')
    .description(
      'Changes the attributes that xCAT’s osimage objects have, as chdef does; templates read them as settings.NAME. Each change is a generation, so nodes that are pinned to an earlier one keep theirs.',
    )
    .argument('[osimage]', 'the osimage')
    .argument('[key=value...]', 'attributes; an empty value takes one away')
    .option('-p, --plus <key=items>', 'add items to a comma list; may be repeated', edits('add'))
    .option('-m, --minus <key=items>', 'take items out of a comma list; may be repeated', edits('remove'))
    .option(
      '-z, --stanza <file>',
      'the attributes of the osimages in a stanza file (lsdef -t osimage -z); - for standard input',
    )
    .addHelpText(
      'after',
      `
Examples:
  rackboot image set d12 osvers=debian12 osarch=x86_64 profile=compute
  rackboot image set d12 addkcmdline='console=ttyS1 R::quiet'
  rackboot image set d12 -p synclists=/etc/rackboot/extra.synclist
  rackboot image set -z osimages.stanza`,
    )
    .action(async (name: string | undefined, words: readonly string[], options: SetOptions) => {
      const { store } = await context.openStore();
      const changes =
        options.stanza === undefined
          ? [{ name: required(name), edits: [...words.map(parseEdit('set')), ...listed(options)] }]
          : await fromStanza(context, store, options.stanza, name);
      const done: unknown[] = [];
      for (const { name, edits } of changes) {
        const made = await setAttributes(store, name, edits);
        done.push(made);
      }
      context.print(done, () => `${changes.length} object definitions have been created or modified.`);
    });
}

function required(name: string | undefined): string {
  if (name !== undefined) return name;
  throw new UsageError('name the osimage, or give a stanza file with -z');
}

function listed({ plus = [], minus = [] }: SetOptions): readonly AttributeEdit[] {
  return [...plus, ...minus];
}

function parseEdit(op: AttributeEdit['op']): (text: string) => AttributeEdit {
  return (text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`${text}: write it as key=value`);
    return { op, name: text.slice(0, at), value: text.slice(at + 1) };
  };
}

function edits(op: AttributeEdit['op']) {
  return (text: string, before: readonly AttributeEdit[] = []): readonly AttributeEdit[] => [
    ...before,
    parseEdit(op)(text),
  ];
}

async function setAttributes(
  store: Store,
  osimage: string,
  changes: readonly AttributeEdit[],
): Promise<unknown> {
  if (changes.length === 0) {
    throw new UsageError('no attributes were specified; write key=value');
  }
  await findOsimage(store, osimage);
  const words = changes.map(
    ({ op, name, value }) => `${op === 'set' ? '' : `--${op} `}${name}=${shownSetting(name, value)}`,
  );
  const { record, manifest } = await buildGeneration(store, {
    osimage,
    note: `set ${words.join(' ')}`,
    change: async ({ manifest: { inputs } }) => ({
      ...inputs,
      settings: editAttributes(inputs.settings, changes),
    }),
  });
  return {
    osimage,
    generation: record.id,
    number: record.number,
    settings: shownSettings(manifest.inputs.settings),
  };
}

/** The attributes of the osimages in a stanza file that there are; those that there are not are told. */
async function fromStanza(
  context: Context,
  store: Store,
  file: string,
  only: string | undefined,
): Promise<{ readonly name: string; readonly edits: readonly AttributeEdit[] }[]> {
  const { osimages } = readDefinitionFile(await readText(file), file);
  const known = new Set((await store.osimages.list()).map(({ name }) => name));
  const wanted = osimages.filter(({ name }) => only === undefined || name === only);
  const missing = wanted.filter(({ name }) => !known.has(name)).map(({ name }) => name);
  if (missing.length > 0) {
    context.note(
      `${missing.join(', ')}: no osimage of that name; import its files first: rackboot image import DIR --name ${missing[0] ?? ''}`,
    );
  }
  return wanted
    .filter(({ name }) => known.has(name))
    .map(({ name, attributes }) => ({
      name,
      edits: [...attributes].map(([key, value]) => ({ op: 'set' as const, name: key, value })),
    }));
}

async function readText(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new NodeError(
      'BAD_IMPORT',
      `${file}: cannot be read (${codeOf(error) ?? messageOf(error)}); give a file that lsdef -t osimage -z wrote`,
      { cause: error },
    );
  });
}
