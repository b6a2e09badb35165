import { type Command, InvalidArgumentError } from 'commander';
import { pathFromText, pathToText, type ArchivePath } from '../../image/cpio/path.js';
import { buildGeneration, type CurrentGeneration } from '../../osimage/build.js';
import { changePaths, putFiles, type LocalFile } from '../../osimage/changes.js';
import type { AdHocEdit, GenerationInputs } from '../../osimage/types.js';
import type { Store } from '../../store/records.js';
import type { BlobWriter } from '../../store/types.js';
import { type Context, UsageError } from '../context.js';
import { addArchiveOptions, archiveOf, type ArchiveOptions } from './archive-options.js';
import { sourceDateEpoch } from './epoch.js';
import { resultJson, resultText, stopwatch } from './result.js';

function modeBits(value: string): number {
  if (!/^[0-7]{1,4}$/.test(value)) throw new InvalidArgumentError('it must be an octal mode, such as 0644');
  return Number.parseInt(value, 8);
}

export function registerChanges(image: Command, context: Context): void {
  addArchiveOptions(image.command('put'))
    .summary('put files into the image')
    .description(
      'Puts local files into the image, each owned by root, and publishes the result as the current generation.',
    )
    .argument('<osimage>', 'the osimage')
    .argument('<file:path...>', 'a local file and where it goes, from the image’s root: ./motd:/etc/motd')
    .option('--mode <octal>', 'permissions; by default those of the local file', modeBits)
    .addHelpText('after', '\nExample:\n  rackboot image put d12 ./preseed.cfg:/preseed.cfg')
    .action(async (name: string, pairs: string[], options: ArchiveOptions & { mode?: number }) => {
      const files = pairs.map(splitPair);
      await change(context, name, `put ${textOf(files.map((file) => file.path))}`, (current, writer) =>
        putFiles(current, archiveOf(current.manifest, options), files, options, writer),
      );
    });

  addArchiveOptions(image.command('delete'))
    .summary('delete files from the image')
    .description(
      'Deletes files, and directories with all they hold, from the image, and publishes the result as the current generation.',
    )
    .argument('<osimage>', 'the osimage')
    .argument('<path...>', 'what to delete, from the image’s root')
    .addHelpText('after', '\nExample:\n  rackboot image delete d12 /etc/hello')
    .action(async (name: string, paths: string[], options: ArchiveOptions) => {
      const wanted = paths.map(pathFromText);
      await change(context, name, `delete ${textOf(wanted)}`, (current, _writer, store) =>
        changePaths(store, current, archiveOf(current.manifest, options), wanted, { op: 'delete' }),
      );
    });

  addArchiveOptions(image.command('chmod'))
    .summary('change permissions in the image')
    .description(
      'Changes the permissions of files in the image and publishes the result as the current generation.',
    )
    .argument('<osimage>', 'the osimage')
    .argument('<mode>', 'permissions in octal, such as 0755', modeBits)
    .argument('<path...>', 'files, from the image’s root')
    .addHelpText('after', '\nExample:\n  rackboot image chmod d12 0600 /etc/shadow')
    .action(async (name: string, mode: number, paths: string[], options: ArchiveOptions) => {
      const wanted = paths.map(pathFromText);
      const note = `chmod ${mode.toString(8).padStart(4, '0')} ${textOf(wanted)}`;
      await change(context, name, note, (current, _writer, store) =>
        changePaths(store, current, archiveOf(current.manifest, options), wanted, { op: 'chmod', mode }),
      );
    });
}

function textOf(paths: readonly ArchivePath[]): string {
  return paths.map(pathToText).join(' ');
}

function splitPair(pair: string): LocalFile {
  const colon = pair.lastIndexOf(':');
  if (colon <= 0 || !pair.slice(colon + 1).startsWith('/')) {
    throw new UsageError(
      `${JSON.stringify(pair)}: give a local file, a colon and an absolute path in the image, like ./motd:/etc/motd`,
    );
  }
  return { local: pair.slice(0, colon), path: pathFromText(pair.slice(colon + 1)) };
}

async function change(
  context: Context,
  osimage: string,
  note: string,
  edits: (current: CurrentGeneration, writer: BlobWriter, store: Store) => Promise<readonly AdHocEdit[]>,
): Promise<void> {
  const { store } = await context.openStore();
  const elapsed = stopwatch();
  const result = await buildGeneration(store, {
    osimage,
    note,
    change: async (current, writer): Promise<GenerationInputs> => ({
      ...current.manifest.inputs,
      ...sourceDateEpoch(),
      edits: await edits(current, writer, store),
    }),
  });
  for (const line of result.notes) context.note(line);
  const ms = elapsed();
  context.print(resultJson(result, ms), () => resultText(result, ms));
}
