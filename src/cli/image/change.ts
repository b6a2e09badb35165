import { lstat } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { codeOf } from '../../errors.js';
import { pathFromText, pathToText } from '../../image/cpio/path.js';
import { readLocalFile } from '../../image/local-file.js';
import { addAdHocEdit } from '../../osimage/ad-hoc.js';
import { OsimageError } from '../../osimage/errors.js';
import { buildGeneration, type CurrentGeneration } from '../../osimage/build.js';
import { archiveDigest, openArchive } from '../../osimage/contents.js';
import type { AdHocEdit, GenerationInputs } from '../../osimage/types.js';
import type { Store } from '../../store/records.js';
import type { BlobWriter } from '../../store/types.js';
import { type Context, UsageError } from '../context.js';
import { addArchiveOptions, archiveOf, type ArchiveOptions } from './archive-options.js';
import { sourceDateEpoch } from './epoch.js';
import { resultJson, resultText, stopwatch } from './result.js';

const S_IFREG = 0o100000;

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
      await change(
        context,
        name,
        `put ${files.map((file) => pathToText(file.path)).join(' ')}`,
        async (current, writer) => {
          let { edits } = current.manifest.inputs;
          const into = archiveOf(current.manifest, options);
          archiveDigest(current.manifest, into.archive);
          for (const { local, path } of files) {
            edits = addAdHocEdit(edits, await putEdit(local, pathToText(path), into, options.mode, writer));
          }
          return edits;
        },
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
      const wanted = paths.map((path) => pathToText(pathFromText(path)));
      await change(context, name, `delete ${wanted.join(' ')}`, (current, _writer, store) =>
        editEach(current, store, options, wanted, (into, path) => ({
          op: 'delete',
          ...into,
          path,
        })),
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
      const wanted = paths.map((path) => pathToText(pathFromText(path)));
      const note = `chmod ${mode.toString(8).padStart(4, '0')} ${wanted.join(' ')}`;
      await change(context, name, note, (current, _writer, store) =>
        editEach(current, store, options, wanted, (into, path) => ({
          op: 'chmod',
          ...into,
          path,
          mode,
        })),
      );
    });
}

/** One edit a path, each of which must stand in the image as it is now. */
async function editEach(
  current: CurrentGeneration,
  store: Store,
  options: ArchiveOptions,
  paths: readonly string[],
  edit: (into: ReturnType<typeof archiveOf>, path: string) => AdHocEdit,
): Promise<readonly AdHocEdit[]> {
  const into = archiveOf(current.manifest, options);
  const { tree } = await openArchive(store, current.manifest, into.archive, into.part);
  let { edits } = current.manifest.inputs;
  for (const path of paths) {
    tree.reach(pathFromText(path));
    edits = addAdHocEdit(edits, edit(into, path));
  }
  return edits;
}

function splitPair(pair: string): { local: string; path: ReturnType<typeof pathFromText> } {
  const colon = pair.lastIndexOf(':');
  if (colon <= 0 || !pair.slice(colon + 1).startsWith('/')) {
    throw new UsageError(
      `${JSON.stringify(pair)}: give a local file, a colon and an absolute path in the image, like ./motd:/etc/motd`,
    );
  }
  return { local: pair.slice(0, colon), path: pathFromText(pair.slice(colon + 1)) };
}

async function putEdit(
  local: string,
  path: string,
  into: ReturnType<typeof archiveOf>,
  mode: number | undefined,
  writer: BlobWriter,
): Promise<AdHocEdit> {
  const info = await lstat(local).catch((error: unknown) => {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: ${codeOf(error) === 'ENOENT' ? 'no such file' : `cannot be read (${codeOf(error) ?? 'unknown error'})`}; give a local file before the colon`,
    );
  });
  if (!info.isFile()) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: put takes regular files; for directories and links make a layer with an overlay and build with it`,
    );
  }
  const { digest, size } = await writer.putStream(readLocalFile(local));
  return { op: 'put', ...into, path, blob: digest, size, mode: S_IFREG | (mode ?? info.mode & 0o7777) };
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
  const ms = elapsed();
  context.print(resultJson(result, ms), () => resultText(result, ms));
}
