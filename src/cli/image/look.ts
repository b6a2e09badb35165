import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { isSymlink } from '../../image/cpio/header.js';
import { pathFromText, pathToText, ROOT } from '../../image/cpio/path.js';
import { archiveParts, openArchive, readFileOf, type OpenArchive } from '../../osimage/contents.js';
import { findGeneration } from '../../osimage/find.js';
import { manifestOf } from '../../osimage/manifest.js';
import type { PlacedEntry } from '../../image/archive-index.js';
import type { Context } from '../context.js';
import { formatBytes, formatMode, textTable } from '../table.js';
import { addArchiveOptions, archiveOf, type ArchiveOptions } from './archive-options.js';

export function registerLooks(image: Command, context: Context): void {
  const lookInto = async (
    command: string,
    reference: string,
    options: ArchiveOptions,
    look: (opened: OpenArchive) => Promise<void>,
  ): Promise<void> => {
    const { store } = await context.openStore('read');
    const record = await findGeneration(store, reference);
    const manifest = manifestOf(record);
    const { archive, part } = archiveOf(manifest, options);
    await store.read(`image ${command}`, [record], async () =>
      look(await openArchive(store, manifest, archive, part)),
    );
  };

  addArchiveOptions(image.command('files'))
    .summary('list the files in the image')
    .description('Lists what the image holds, or what it holds below a path.')
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .argument('[path]', 'a path from the image’s root', '/')
    .addHelpText('after', '\nExample:\n  rackboot image files d12 /etc')
    .action((reference: string, path: string, options: ArchiveOptions) =>
      lookInto('files', reference, options, async (opened) => {
        const wanted = pathFromText(path);
        const below = wanted === ROOT ? wanted : opened.tree.find(wanted).path;
        const entries = opened.tree.below(below);
        context.print(
          entries.map((entry) => entryJson(opened, entry)),
          () => listing(opened, entries),
        );
      }),
    );

  addArchiveOptions(image.command('cat'))
    .summary('print a file of the image')
    .description('Writes a file of the image to standard output, byte for byte.')
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .argument('<path>', 'a file, from the image’s root')
    .addHelpText('after', '\nExample:\n  rackboot image cat d12 /etc/hello')
    .action((reference: string, path: string, options: ArchiveOptions) =>
      lookInto('cat', reference, options, (opened) =>
        pipeline(readFileOf(opened, path).data, context.stdout, { end: false }),
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

function entryJson({ tree }: OpenArchive, entry: PlacedEntry): unknown {
  const { mode, uid, gid, mtime, nlink } = entry.header;
  return {
    path: pathToText(entry.path),
    mode: (mode & 0o7777).toString(8).padStart(4, '0'),
    type: formatMode(mode).slice(0, 1),
    uid,
    gid,
    size: tree.dataOf(entry).header.size,
    mtime,
    nlink,
    ...(entry.target === undefined ? {} : { target: Buffer.from(entry.target, 'latin1').toString('utf8') }),
  };
}

function listing({ tree }: OpenArchive, entries: readonly PlacedEntry[]): string {
  const rows = entries.map((entry) => {
    const { mode, uid, gid, mtime } = entry.header;
    const target =
      isSymlink(mode) && entry.target !== undefined
        ? ` -> ${Buffer.from(entry.target, 'latin1').toString('utf8')}`
        : '';
    return [
      formatMode(mode),
      `${uid}:${gid}`,
      String(tree.dataOf(entry).header.size),
      new Date(mtime * 1000).toISOString().slice(0, 16).replace('T', ' '),
      pathToText(entry.path) + target,
    ];
  });
  return textTable(['MODE', 'OWNER', 'SIZE', 'MODIFIED (UTC)', 'PATH'], rows);
}
