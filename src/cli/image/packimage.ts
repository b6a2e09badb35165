import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { unreadable } from '../../image/local-file.js';
import type { WholeCodec } from '../../image/whole/codecs.js';
import { packOsimage } from '../../osimage/pack.js';
import { PACK_METHODS, type PackMethod } from '../../osimage/pack-form.js';
import { requireHash } from '../../osimage/xcat/pack/accounts.js';
import type { RootOptions } from '../../osimage/xcat/pack/prepare.js';
import type { Context } from '../context.js';
import { collectList } from '../repeated.js';
import { addArchiveOptions, type ArchiveOptions } from './archive-options.js';
import { sourceDateEpoch } from './epoch.js';
import { resultJson, resultText, stopwatch } from './result.js';

const COMPRESSORS = ['pigz', 'gzip', 'bzip2', 'xz', 'zstd'] as const satisfies readonly WholeCodec[];

interface PackOptions extends ArchiveOptions {
  readonly method?: PackMethod;
  readonly compress?: WholeCodec;
  readonly exlist?: string | false;
  readonly synclist?: readonly string[];
  readonly nosyncfiles?: boolean;
  readonly postscripts?: string;
  readonly xcatinfo?: boolean;
  readonly rootPasswordHashFile?: string;
  readonly timezone?: string;
  readonly reread?: boolean;
  readonly discardEdits?: boolean;
}

export function registerPack(image: Command, context: Context): void {
  addArchiveOptions(image.command('pack'))
    .summary('make the image of a directory')
    .description(
      'Makes the image’s archive of a directory, such as image unpack writes or genimage’s rootimg/, and publishes it as the current generation. Files that are as they were at the last packing are not read, and what is as it was costs nothing. The directory is not touched. The changes made with put, delete and chmod before are taken to be in the directory; so are the layers, until image build applies others.',
    )
    .argument('<osimage>', 'the osimage')
    .argument('<directory>', 'the files; <directory>.mtree beside it is read where it is there')
    .addOption(
      new Option(
        '-m, --method <method>',
        'of a stateless image: what holds the files; by default as it is',
      ).choices([...PACK_METHODS]),
    )
    .addOption(
      new Option(
        '-c, --compress <program>',
        'compress the archive whole with this program, for what expects its layout; every later change does so again. Of a stateless image, gzip and pigz just say the form',
      ).choices([...COMPRESSORS]),
    )
    .option(
      '--exlist <file>',
      'leave out what this exlist says; by default what a stateless image’s attribute exlist names',
    )
    .option('--no-exlist', 'leave nothing out, whatever the attribute exlist names')
    .option(
      '--synclist <file>',
      'add what this synclist says; may be repeated; by default what a stateless image’s attribute synclists names',
      collectList,
    )
    .option('--nosyncfiles', 'add nothing, whatever the attribute synclists names')
    .option('--postscripts <directory>', 'put xCAT’s postscripts into /xcatpost, in place of what is there')
    .option('--xcatinfo', 'write /opt/xcat/xcatinfo, which xCAT’s boot scripts read')
    .option(
      '--root-password-hash-file <file>',
      'give root the password whose hash this file holds, - for standard input; * is none',
    )
    .option('--timezone <zone>', 'link /etc/localtime to this zone of the image, such as Europe/Berlin')
    .option('--reread', 'read all files again, also those that are as they were at the last packing')
    .option('--discard-edits', 'pack it although the image was changed since it was unpacked, and undo that')
    .addHelpText(
      'after',
      `
Examples:
  rackboot image pack d12 ./d12.root
  rackboot image pack d12 ./d12.root --compress xz
  rackboot image pack compute /install/netboot/rocky9.4/x86_64/compute/rootimg --xcatinfo
  rackboot image pack compute ./rootimg -m squashfs --exlist compute.exlist --timezone Europe/Berlin`,
    )
    .action(async (osimage: string, directory: string, options: PackOptions) => {
      const { archive, part, method, compress, reread, discardEdits } = options;
      const root = await rootOf(options);
      const { store } = await context.openStore();
      const elapsed = stopwatch();
      const result = await packOsimage(store, {
        ...{ osimage, directory, root, ...sourceDateEpoch() },
        ...(archive === undefined ? {} : { archive }),
        ...(part === undefined ? {} : { part }),
        ...(method === undefined ? {} : { method }),
        ...(compress === undefined ? {} : { compress }),
        ...(reread === undefined ? {} : { reread }),
        ...(discardEdits === undefined ? {} : { discardEdits }),
      });
      if (result.recordFile === undefined) {
        context.note(`there is no ${directory}.mtree: owners and devices are packed as they are on disk`);
      }
      for (const line of result.notes) context.note(line);
      const ms = elapsed();
      context.print(resultJson(result, ms), () => resultText(result, ms));
    });
}

/** What `options` say of the root file system; what they leave out is for the osimage's attributes to say. */
async function rootOf(options: PackOptions): Promise<Partial<RootOptions>> {
  const { exlist, synclist, nosyncfiles, postscripts, xcatinfo, rootPasswordHashFile, timezone } = options;
  const synclists = nosyncfiles === true ? [] : synclist;
  return {
    ...(exlist === undefined ? {} : { exlists: exlist === false ? [] : [exlist] }),
    ...(synclists === undefined ? {} : { synclists }),
    ...(postscripts === undefined ? {} : { postscripts }),
    ...(xcatinfo === undefined ? {} : { xcatinfo }),
    ...(timezone === undefined ? {} : { timezone }),
    ...(rootPasswordHashFile === undefined ? {} : { rootHash: await hashIn(rootPasswordHashFile) }),
  };
}

async function hashIn(file: string): Promise<string> {
  if (file === '-') return requireHash(await text(process.stdin), 'standard input');
  const held = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error);
  });
  return requireHash(held, file);
}
