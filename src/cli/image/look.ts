import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { lookInside } from '../../image/nested/open.js';
import type { Contents } from '../../image/nested/contents.js';
import { archiveParts, openArchive, readFileOf } from '../../osimage/contents.js';
import { findGeneration } from '../../osimage/find.js';
import { generationOutside } from '../../osimage/inside.js';
import { manifestOf } from '../../osimage/manifest.js';
import type { Context } from '../context.js';
import { printEntries } from '../entry-list.js';
import { formatBytes, textTable } from '../table.js';
import { addArchiveOptions, archiveOf, type ArchiveOptions } from './archive-options.js';

export function registerLooks(image: Command, context: Context): void {
  /** Runs `look` on the archive and the path in it, or on what a path with a colon reaches inside of a file. */
  const lookInto = async (
    command: string,
    reference: string,
    text: string,
    options: ArchiveOptions,
    look: (contents: Contents, path: string) => void | Promise<void>,
  ): Promise<void> => {
    const { store } = await context.openStore();
    const record = await findGeneration(store, reference);
    const manifest = manifestOf(record);
    const { archive, part } = archiveOf(manifest, options);
    await store.read(`image ${command}`, [record], async () => {
      const opened = await openArchive(store, manifest, archive, part);
      const outside = generationOutside(manifest, opened, store.blobs, reference);
      const inside = await lookInside(outside, text, async ({ contents, path }) => look(contents, path));
      if (inside === undefined) await look(opened, text);
    });
  };

  addArchiveOptions(image.command('files'))
    .summary('list the files in the image')
    .description(
      'Lists what the image holds, or what it holds below a path. FILE:PATH looks into a file of the image or of its install tree: an archive, a squashfs, an ISO; and so on inside of that.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .argument('[path]', 'a path from the image’s root; after a colon, one inside that file', '/')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot image files d12 /etc\n  rackboot image files live /live/filesystem.squashfs:/etc',
    )
    .action((reference: string, path: string, options: ArchiveOptions) =>
      lookInto('files', reference, path, options, ({ tree }, below) => printEntries(context, tree, below)),
    );

  addArchiveOptions(image.command('cat'))
    .summary('print a file of the image')
    .description(
      'Writes a file of the image to standard output, byte for byte. FILE:PATH writes one that lies inside of a file, as with image files.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .argument('<path>', 'a file, from the image’s root; after a colon, one inside that file')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot image cat d12 /etc/hello\n  rackboot image cat live /live/filesystem.squashfs:/etc/os-release',
    )
    .action((reference: string, path: string, options: ArchiveOptions) =>
      lookInto('cat', reference, path, options, (contents, inner) =>
        pipeline(readFileOf(contents, inner).data, context.stdout, { end: false }),
      ),
    );

  image
    .command('parts')
    .summary('list the archives that the archive file is made of')
    .description(
      'Lists the archives that the archive file is made of, one after another, such as early microcode and what follows it. put, delete, chmod, files and cat take one of them with --part.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .option('--archive <file>', 'the archive file; by default the one the default boot entry loads')
    .addHelpText('after', '\nExample:\n  rackboot image parts d12')
    .action(async (reference: string, options: { archive?: string }) => {
      const { store } = await context.openStore('read');
      const record = await findGeneration(store, reference);
      const manifest = manifestOf(record);
      const { archive } = archiveOf(manifest, options);
      const parts = await store.read('image parts', [record], () => archiveParts(store, manifest, archive));
      context.print(
        parts.map(({ part, codec, format, entries, plain }) => ({
          part,
          codec,
          format,
          entries,
          bytes: plain,
        })),
        () =>
          textTable(
            ['PART', 'CODEC', 'FORMAT', 'ENTRIES', 'UNPACKED'],
            parts.map(({ part, codec, format, entries, plain }) => [
              String(part),
              codec,
              format,
              String(entries),
              formatBytes(plain),
            ]),
          ),
      );
    });
}
