import type { Command } from 'commander';
import type { CompareOptions, PathChange, Side } from '../../osimage/compare/compare.js';
import {
  diffGenerations,
  diffWithPath,
  NO_DIFFERENCE,
  type ArchiveChange,
  type GenerationDiff,
} from '../../osimage/diff.js';
import { findOsimage, parentGeneration, pickGeneration } from '../../osimage/find.js';
import { shownLine, shownSetting } from '../../osimage/hidden-words.js';
import { manifestOf, shortId } from '../../osimage/manifest.js';
import type { GenerationRecord, Store } from '../../store/records.js';
import { type Context, UsageError } from '../context.js';
import { foldWords, formatMode } from '../table.js';
import { addArchiveOptions, archiveOf, type ArchiveOptions } from './archive-options.js';

interface Options extends ArchiveOptions {
  readonly text?: true;
  readonly times?: true;
  readonly with?: string;
}

/** `image diff`: what differs between generations, or between one and what lies on disk. */
export function registerDiff(image: Command, context: Context): void {
  addArchiveOptions(image.command('diff'))
    .summary('compare two generations')
    .description(
      'Says what differs between two generations: paths in the archives, boot arguments, what is loaded, answer file, other files and those of the install tree, settings, layers. Of an archive that differs in none of its paths, as one compressed otherwise, the digests are shown. With one generation, the current one is compared with it; with none, with the one it was made from. Of a file with the same content, its time and its hard links are compared too.',
    )
    .argument('<osimage>', 'the osimage')
    .argument('[before]', 'a generation, by number or id')
    .argument('[after]', 'another one; the current one when left out')
    .option('--text', 'also show how text files differ, line by line')
    .option(
      '--with <path>',
      'compare an archive of the generation with a directory or an archive file instead',
    )
    .option('--times', 'with --with, compare times too')
    .addHelpText(
      'after',
      `
--archive and --part say which archive --with is about; between generations all are compared.

Examples:
  rackboot image diff d12
  rackboot image diff d12 1 3 --text
  rackboot image diff d12 --with ./rootimg`,
    )
    .action(async (name: string, before: string | undefined, after: string | undefined, options: Options) => {
      const { store } = await context.openStore('read');
      const { current } = await findOsimage(store, name);
      const history = await store.osimages.history(name);
      const text = options.text === true;
      if (options.with !== undefined) {
        if (after !== undefined)
          throw new UsageError('--with stands for the second generation; name one generation at most');
        const from = pickGeneration(name, history, before ?? current);
        await printWith(context, store, from, options.with, options, {
          text,
          times: options.times === true,
        });
        return;
      }
      if (options.times === true)
        throw new UsageError('--times goes with --with; between generations times are always compared');
      if (options.archive !== undefined || options.part !== undefined)
        throw new UsageError('--archive and --part go with --with; between generations all is compared');
      const right = pickGeneration(name, history, after ?? current);
      const from =
        before === undefined
          ? parentGeneration(right, history, `rackboot image diff ${name} <before>`)
          : pickGeneration(name, history, before);
      const diff = await store.read('image diff', [from, right], () =>
        diffGenerations(store, manifestOf(from), manifestOf(right), { text, times: true }),
      );
      const title = `${name}: generation ${nameOf(from)} → ${nameOf(right)}`;
      print(context, { before: from.id, after: right.id }, title, diff);
    });
}

async function printWith(
  context: Context,
  store: Store,
  from: GenerationRecord,
  path: string,
  options: ArchiveOptions,
  how: CompareOptions,
): Promise<void> {
  const manifest = manifestOf(from);
  const subject = archiveOf(manifest, options);
  const changes = await store.read('image diff', [from], () =>
    diffWithPath(store, { manifest, ...subject }, path, how),
  );
  const paths: ArchiveChange[] = changes.map((change) => ({ archive: subject.archive, ...change }));
  const title = `${from.osimage}: ${subject.archive} of generation ${nameOf(from)} → ${path}`;
  print(context, { before: from.id, after: path }, title, { ...NO_DIFFERENCE, paths });
}

const nameOf = ({ number, id }: GenerationRecord): string => `${number} (${shortId(id)})`;

function print(
  context: Context,
  sides: { readonly before: string; readonly after: string },
  title: string,
  diff: GenerationDiff,
): void {
  const shown = withoutSecrets(diff);
  context.print({ ...sides, ...shown }, () => {
    const lines = describeDiff(shown);
    return [title, ...(lines.length === 0 ? ['no difference'] : lines)].join('\n');
  });
}

/** `diff` without passwords and their hashes; that they differ is told. */
function withoutSecrets(diff: GenerationDiff): GenerationDiff {
  const line = (text: string | null): string | null => text && shownLine(text);
  return {
    ...diff,
    boot: diff.boot.map(({ label, before, after }) => ({ label, before: line(before), after: line(after) })),
    settings: diff.settings.map(({ name, before, after }) => ({
      name,
      before: before && shownSetting(name, before),
      after: after && shownSetting(name, after),
    })),
  };
}

/** The beginning of a SHA-256; other texts as they are. */
const short = (text: string | null): string | null =>
  text !== null && /^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) : text;

const MARKS: Readonly<Record<PathChange['change'], string>> = { added: '+', removed: '-', changed: '~' };

function describeDiff(diff: GenerationDiff): string[] {
  const sides = (before: string | null, after: string | null): string =>
    `${before ?? '(none)'} → ${after ?? '(none)'}`;
  return [
    ...diff.paths.flatMap((change) => [
      `${MARKS[change.change]} ${change.path}${describeChange(change)}`,
      ...(change.text === undefined ? [] : [change.text.trimEnd()]),
    ]),
    ...diff.boot.flatMap(({ label, before, after }) => [
      `boot arguments of ${label}:`,
      `  - ${foldWords(before ?? '', 4) || '(none)'}`,
      `  + ${foldWords(after ?? '', 4) || '(none)'}`,
    ]),
    ...diff.loads.map(({ label, before, after }) => `${label} loads: ${sides(before, after)}`),
    ...(diff.answer === null ? [] : [`answer file: ${sides(diff.answer.before, diff.answer.after)}`]),
    ...diff.files.map(({ path, before, after }) => `file ${path}: ${sides(short(before), short(after))}`),
    ...diff.settings.map(({ name, before, after }) => `setting ${name}: ${sides(before, after)}`),
    ...diff.layers.map(({ name, before, after }) => `layer ${name}: ${sides(short(before), short(after))}`),
  ];
}

/** What a change is, both sides of it: `  content (12 → 3 bytes), mode 0644 → 0600`. */
function describeChange({ what, before, after }: PathChange): string {
  if (before === undefined || after === undefined || what.length === 0) return '';
  const from = (text: (side: Side) => string): string => `${text(before)} → ${text(after)}`;
  const parts = what.map((difference) => {
    switch (difference) {
      case 'content':
        return `content (${from(({ size }) => String(size))} bytes)`;
      case 'mode':
        return `mode ${from(({ mode }) => (mode & 0o7777).toString(8).padStart(4, '0'))}`;
      case 'owner':
        return `owner ${from(({ uid, gid }) => `${uid}:${gid}`)}`;
      case 'type':
        return `type ${from(({ mode }) => formatMode(mode).slice(0, 1))}`;
      case 'target':
        return `target ${from(({ target }) => target ?? '(none)')}`;
      case 'device':
        return `device ${from(({ device }) => device ?? '(none)')}`;
      case 'time':
        return `time ${from(({ mtime }) => formatTime(mtime))}`;
      case 'link':
        return `other names ${from(({ names = [] }) => someOf(names))}`;
    }
  });
  return `  ${parts.join(', ')}`;
}

/** Names that are shown of a file with many. */
const SHOWN_NAMES = 3;

const someOf = (names: readonly string[]): string =>
  names.length === 0
    ? '(none)'
    : `${names.slice(0, SHOWN_NAMES).join(' ')}${names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : ''}`;

/** A time in seconds; where no calendar reaches it, as it is. */
function formatTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `@${seconds}` : date.toISOString().replace('.000', '');
}
