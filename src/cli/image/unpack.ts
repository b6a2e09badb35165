import { type Command, Option } from 'commander';
import type { WholeCodec } from '../../image/whole/codecs.js';
import { packOsimage } from '../../osimage/pack.js';
import { unpackOsimage } from '../../osimage/unpack.js';
import type { Context } from '../context.js';
import { formatBytes, formatDuration } from '../table.js';
import { addArchiveOptions, type ArchiveOptions } from './archive-options.js';
import { resultJson, resultText, stopwatch } from './result.js';

const COMPRESSORS = ['pigz', 'gzip', 'bzip2', 'xz', 'zstd'] as const satisfies readonly WholeCodec[];

export function registerUnpack(image: Command, context: Context): void {
  addArchiveOptions(image.command('unpack'))
    .summary('write the image’s files into a directory')
    .description(
      'Writes the files of the image into a new or empty directory, and beside it an mtree file, <directory>.mtree. As root, owners, devices, permissions and times are those of the image; without root, the mtree file keeps what the directory cannot, and image pack reads it.',
    )
    .argument('<osimage[@generation]>', 'an osimage, or one of its generations')
    .argument('<directory>', 'where to; missing or empty')
    .addHelpText('after', '\nExample:\n  rackboot image unpack d12 ./d12.root')
    .action(async (reference: string, directory: string, options: ArchiveOptions) => {
      const { store } = await context.openStore();
      const elapsed = stopwatch();
      const privileged = process.getuid?.() === 0;
      const result = await unpackOsimage(store, reference, directory, options, privileged);
      const { record, recordFile, files, directories, links, bytes, missing } = result;
      if (!privileged) {
        context.note(
          `without root: owners, setuid bits${missing === 0 ? '' : ` and ${missing} devices`} are not in ${directory}; ${recordFile} keeps them for image pack`,
        );
      }
      context.print(
        {
          osimage: record.osimage,
          generation: record.id,
          directory,
          record: recordFile,
          privileged,
          ...{ files, directories, links, bytes, missing },
        },
        () =>
          `unpacked ${files} files (${formatBytes(bytes)}), ${directories} directories and ${links} links into ${directory} in ${formatDuration(elapsed())}`,
      );
    });

  addArchiveOptions(image.command('pack'))
    .summary('make the image of a directory')
    .description(
      'Makes the image’s archive of a directory, such as image unpack writes, and publishes it as the current generation. What is as it was costs nothing. The changes made with put, delete and chmod before are taken to be in the directory; so are the layers, until image build applies others.',
    )
    .argument('<osimage>', 'the osimage')
    .argument('<directory>', 'the files; <directory>.mtree beside it is read where it is there')
    .addOption(
      new Option(
        '--compress <program>',
        'compress the archive whole with this program, for what expects its layout; every later change does so again',
      ).choices([...COMPRESSORS]),
    )
    .option('--discard-edits', 'pack it although the image was changed since it was unpacked, and undo that')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot image pack d12 ./d12.root\n  rackboot image pack d12 ./d12.root --compress xz',
    )
    .action(
      async (
        osimage: string,
        directory: string,
        options: ArchiveOptions & { readonly compress?: WholeCodec; readonly discardEdits?: boolean },
      ) => {
        const { store } = await context.openStore();
        const elapsed = stopwatch();
        const result = await packOsimage(store, { osimage, directory, ...options });
        if (result.recordFile === undefined) {
          context.note(`there is no ${directory}.mtree: owners and devices are packed as they are on disk`);
        }
        for (const line of result.notes) context.note(line);
        const ms = elapsed();
        context.print(resultJson(result, ms), () => resultText(result, ms));
      },
    );
}
