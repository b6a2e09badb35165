import type { Command } from 'commander';
import { unpackOsimage } from '../../osimage/unpack.js';
import type { Context } from '../context.js';
import { formatBytes, formatDuration } from '../table.js';
import { addArchiveOptions, type ArchiveOptions } from './archive-options.js';
import { stopwatch } from './result.js';

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
}
