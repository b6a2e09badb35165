import type { Command } from 'commander';
import { findGeneration } from '../../osimage/find.js';
import { shownBoot, shownLine, shownSettings } from '../../osimage/hidden-words.js';
import { artifactMap, manifestOf, shortId } from '../../osimage/manifest.js';
import type { BootEntry, GenerationManifest } from '../../osimage/types.js';
import type { GenerationRecord } from '../../store/records.js';
import type { ListedObject } from '../../node/formats/lsdef.js';
import { parseSelections } from '../../node/selection.js';
import type { Context } from '../context.js';
import { lsdefForm, osimageListed, printListed, withLsdefOptions, type LsdefOptions } from './lsdef.js';
import { foldWords, formatBytes, formatTime, textTable } from '../table.js';
import { collect } from '../repeated.js';

export function registerLists(image: Command, context: Context): void {
  withLsdefOptions(image.command('ls'))
    .summary('list osimages')
    .description(
      'Lists the osimages with their current generation, or their attributes as xCAT’s lsdef does.',
    )
    .option('-s, --short', 'as lsdef -s: names only')
    .option(
      '-w, --where <selection>',
      'attribute==value, !=, =~ or !~; may be repeated, all must hold',
      collect,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot image ls --json\n  rackboot image ls -z > osimages.stanza\n  rackboot image ls -w osvers=~^rocky -i profile,provmethod',
    )
    .action(async (options: LsdefOptions) => {
      const form = lsdefForm(options);
      const selections = parseSelections(options.where ?? []);
      const { store } = await context.openStore('read');
      if (form !== undefined) {
        const listed: ListedObject[] = [];
        for (const { name } of await store.osimages.list()) listed.push(await osimageListed(store, name));
        const fitting = listed.filter(({ attributes }) =>
          selections.every((selection) => selection.matches(attributes.get(selection.attribute) ?? '')),
        );
        printListed(context, fitting, form);
        return;
      }
      const rows: { record: GenerationRecord; manifest: GenerationManifest; nodes: number }[] = [];
      const assignments = await store.nodes.assignments();
      for (const osimage of await store.osimages.list()) {
        const record = await findGeneration(store, osimage.name);
        const nodes = assignments.filter(
          (assignment) => assignment.state === 'osimage' && assignment.osimage === osimage.name,
        );
        rows.push({ record, manifest: manifestOf(record), nodes: nodes.length });
      }
      context.print(
        rows.map(({ record, manifest, nodes }) => ({
          ...briefJson(record),
          family: manifest.family,
          layers: manifest.inputs.layers.map((layer) => layer.name),
          nodes,
        })),
        () =>
          rows.length === 0
            ? 'no osimage yet; make one with: rackboot image import <directory> --name <name>'
            : textTable(
                ['NAME', 'FAMILY', 'GENERATION', 'LAYERS', 'NODES', 'MADE'],
                rows.map(({ record, manifest, nodes }) => [
                  record.osimage,
                  manifest.family,
                  String(record.number),
                  manifest.inputs.layers.map((layer) => layer.name).join(':') || '-',
                  String(nodes),
                  formatTime(record.createdAt),
                ]),
              ),
      );
    });

  withLsdefOptions(image.command('show'))
    .summary('show what a generation is made of')
    .description(
      'Shows a generation: files with digests, boot entries, answer file, layers, settings and changes.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations by number or id')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot image show d12\n  rackboot image show d12@1 --json\n  rackboot image show d12 -z',
    )
    .action(async (reference: string, options: LsdefOptions) => {
      const form = lsdefForm(options);
      const { store } = await context.openStore('read');
      if (form !== undefined) {
        printListed(context, [await osimageListed(store, reference)], form);
        return;
      }
      const record = await findGeneration(store, reference);
      const manifest = manifestOf(record);
      const stored: { path: string; referenced: number }[] = [];
      await store.read('image show', [record], async () => {
        for (const file of manifest.files) {
          const map = await artifactMap(store.blobs, file);
          stored.push({ path: file.path, referenced: map.parts.length });
        }
      });
      context.print({ ...briefJson(record), ...manifestJson(manifest) }, () =>
        describe(record, manifest, stored),
      );
    });

  image
    .command('history')
    .summary('list the generations of an osimage')
    .description('Lists every generation of an osimage, newest first.')
    .argument('<osimage>', 'the osimage')
    .addHelpText('after', '\nExample:\n  rackboot image history d12 --json')
    .action(async (name: string) => {
      const { store } = await context.openStore('read');
      const current = await findGeneration(store, name);
      const history = await store.osimages.history(name);
      context.print(
        history.map((record) => ({
          ...briefJson(record),
          current: record.id === current.id,
          files: manifestOf(record).files.map(({ path, size, sha256 }) => ({ path, size, sha256 })),
        })),
        () =>
          textTable(
            ['', 'NUMBER', 'ID', 'MADE', 'FROM', 'BY'],
            history.map((record) => [
              record.id === current.id ? '*' : '',
              String(record.number),
              shortId(record.id),
              formatTime(record.createdAt),
              record.parent === null ? '-' : shortId(record.parent),
              shownLine(record.note),
            ]),
          ),
      );
    });
}

/** What every listing says of a generation. */
export function briefJson(record: GenerationRecord): Record<string, unknown> {
  return {
    osimage: record.osimage,
    generation: record.id,
    number: record.number,
    parent: record.parent,
    createdAt: new Date(record.createdAt).toISOString(),
    note: shownLine(record.note),
  };
}

function manifestJson(manifest: GenerationManifest): Record<string, unknown> {
  const { family, files, tree, boot, answer, attached, archives, inputs } = manifest;
  const artifact = ({ path, size, sha256 }: (typeof files)[number]): unknown => ({ path, size, sha256 });
  return {
    family,
    files: files.map(artifact),
    tree: tree.map(artifact),
    boot: boot.map(shownBoot),
    answer: answer === undefined ? null : { name: answer.name, sha256: answer.template },
    attached: attached?.files.map(artifact) ?? [],
    archives: Object.keys(archives),
    media: inputs.media,
    layers: inputs.layers,
    settings: shownSettings(inputs.settings),
    epoch: inputs.epoch ?? null,
    edits: inputs.edits.map((edit) =>
      edit.op === 'edit' ? { ...edit, command: shownLine(edit.command) } : edit,
    ),
  };
}

const INDENT = ' '.repeat(13);

function describe(
  record: GenerationRecord,
  manifest: GenerationManifest,
  stored: readonly { path: string; referenced: number }[],
): string {
  const { inputs } = manifest;
  const lines = [
    `osimage      ${record.osimage}`,
    `generation   ${record.number} (${record.id})`,
    `made         ${formatTime(record.createdAt)}, ${shownLine(record.note)}`,
    `family       ${manifest.family}`,
    `layers       ${inputs.layers.map((layer) => `${layer.name} (${layer.digest.slice(0, 12)})`).join(', ') || 'none'}`,
    `settings     ${
      Object.entries(shownSettings(inputs.settings))
        .map(([key, value]) => `${key}=${value}`)
        .join(' ') || 'none'
    }`,
    `epoch        ${inputs.epoch ?? 'none'}`,
    `answer file  ${manifest.answer?.name ?? 'none'}`,
    ...manifest.boot.map(shownBoot).flatMap(bootLines),
    ...inputs.edits.map(
      (edit) =>
        `change       ${edit.op} ${edit.op === 'edit' ? shownLine(edit.command) : edit.path} (${edit.archive})`,
    ),
    '',
    textTable(
      ['FILE', 'SIZE', 'PARTS', 'SHA-256'],
      manifest.files.map((file) => [
        file.path,
        formatBytes(file.size),
        String(stored.find(({ path }) => path === file.path)?.referenced ?? 0),
        file.sha256,
      ]),
    ),
    '',
    `install tree: ${manifest.tree.length} files, ${formatBytes(manifest.tree.reduce((sum, file) => sum + file.size, 0))}`,
    ...(manifest.attached === undefined
      ? []
      : [`attached: ${manifest.attached.files.map(({ path }) => path).join(', ') || 'nothing'}`]),
  ];
  return lines.join('\n');
}

/** A boot entry's files, and below them its arguments: where there is a hypervisor, its own and then the kernel's. */
function bootLines(entry: BootEntry): string[] {
  const isXen = entry.kind === 'xen';
  const files = [...(isXen ? [entry.hypervisor] : []), entry.kernel, ...entry.initrds];
  const lines = [...(isXen ? [entry.hypervisorArgs] : []), entry.args].filter((line) => line !== '');
  return [
    `boot         ${entry.label}: ${files.join(' + ')}`,
    ...lines.map((line) => `${INDENT}${foldWords(line, INDENT.length)}`),
  ];
}
