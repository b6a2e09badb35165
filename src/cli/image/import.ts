import { type Command, InvalidArgumentError, Option } from 'commander';
import { FAMILIES } from '../../osimage/families.js';
import { DEFAULT_LIMITS } from '../../image/unpack-limits.js';
import { importOsimage } from '../../osimage/import.js';
import { shortId } from '../../osimage/manifest.js';
import type { Family } from '../../osimage/types.js';
import type { Context } from '../context.js';
import { Progress } from '../progress.js';
import { selectNodes } from '../../node/site-directory.js';
import { formatBytes, formatDuration } from '../table.js';
import { addRemoteOptions, remoteOptions, type RemoteFlags } from './remote-options.js';
import { resultJson, stopwatch } from './result.js';

const GIB = 2 ** 30;

function wholeNumber(value: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(value))
    throw new InvalidArgumentError('it must be a whole number from 1 to 999999');
  return Number(value);
}

function entryCount(value: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(value))
    throw new InvalidArgumentError('it must be a whole number from 1 to 999999999');
  return Number(value);
}

interface ImportOptions extends RemoteFlags {
  readonly name?: string;
  readonly family?: Family;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly profile?: string;
  readonly postscripts?: string;
  readonly maxGrowth: number;
  readonly maxUnpacked: number;
  readonly maxEntries: number;
}

export function registerImport(image: Command, context: Context): void {
  const command = image
    .command('import')
    .summary('make an osimage of an installer or a bundle')
    .description(
      'Reads an installer’s directory or ISO, or a single archive, once and publishes it, unchanged inside, as the first generation of a new osimage. Of XCP-ng’s and Anaconda’s media it takes every entry of the boot menus, the packages, and the loaders for image iso. A tree on a web server is read by the names in its menus, its .treeinfo and its repositories. A bundle, of image export or of xCAT’s imgexport, is taken as it is, also from another machine by ssh.',
    )
    .argument(
      '<source>',
      'directory or ISO with the installer’s files, or an archive (initrd, root image), also as a file:// URL; an http:// or https:// URL of a tree or of an ISO; a bundle, also as USER@HOST:PATH or ssh://USER@HOST:PORT/PATH',
    )
    .option('--name <name>', 'what the osimage is to be called; a bundle brings its own name')
    .addOption(
      new Option('--family <family>', 'how it boots; recognised by itself when left out').choices([
        ...FAMILIES,
      ]),
    )
    .option('--kernel <path>', 'its kernel, inside the directory or ISO; beside an archive, a file')
    .option('--initrd <path>', 'its initrd, inside the directory or ISO')
    .option('--profile <name>', 'of a bundle of xCAT’s: call its profile so, as imgimport -f does')
    .option(
      '--postscripts <noderange>',
      'of a bundle of xCAT’s: set its postscripts of these nodes, as imgimport -p does',
    )
    .option(
      '--max-growth <times>',
      'refuse an archive that unpacks to more than this many times its size and to more than 1 GiB',
      wholeNumber,
      DEFAULT_LIMITS.maxRatio,
    )
    .option(
      '--max-unpacked <GiB>',
      'refuse an archive that unpacks to more than this',
      wholeNumber,
      DEFAULT_LIMITS.maxSize / GIB,
    )
    .option(
      '--max-entries <number>',
      'refuse an archive with more files than this, which takes about 1 KiB of memory each to change',
      entryCount,
      DEFAULT_LIMITS.maxEntries,
    );
  addRemoteOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  rackboot image import /usr/lib/debian-installer/images/12/amd64/text --name d12
  rackboot image import xcp-ng-8.3.0.iso --name xcp83
  rackboot image import https://example.com/netinstall/8.3/ --name xcp83
  rackboot image import mini.iso --name mini --kernel linux --initrd initrd.gz
  rackboot image import rootimg.gz --name compute --kernel /boot/vmlinuz
  rackboot image import compute.tgz
  rackboot image import root@mn1:/root/compute.tgz --profile login --postscripts login`,
    )
    .action(async (source: string, options: ImportOptions) => {
      const { store } = await context.openStore();
      const nodes =
        options.postscripts === undefined ? undefined : await selectNodes(store.nodes, options.postscripts);
      const elapsed = stopwatch();
      const progress = new Progress(context.stderr, { quiet: context.json });
      const result = await importOsimage(store, {
        source,
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.family === undefined ? {} : { family: options.family }),
        ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
        ...(options.initrd === undefined ? {} : { initrd: options.initrd }),
        ...(options.profile === undefined ? {} : { profile: options.profile }),
        ...(nodes === undefined ? {} : { postscripts: nodes.map(({ name }) => name) }),
        remote: remoteOptions(options),
        limits: {
          ...DEFAULT_LIMITS,
          maxRatio: options.maxGrowth,
          maxSize: options.maxUnpacked * GIB,
          maxEntries: options.maxEntries,
        },
        onProgress: (file, done, total) => progress.update(`of ${formatBytes(total)}: ${file}`, done, total),
      }).finally(() => progress.end());
      const ms = elapsed();
      for (const line of result.notes) context.note(line);
      context.print(resultJson(result, ms), () => {
        const { record, manifest } = result;
        const bytes = [...manifest.files, ...manifest.tree].reduce((sum, file) => sum + file.size, 0);
        return `${record.osimage} generation ${record.number} (${shortId(record.id)}), family ${manifest.family}: ${manifest.files.length + manifest.tree.length} files, ${formatBytes(bytes)}, in ${formatDuration(ms)}`;
      });
    });
}
