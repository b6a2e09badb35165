import { open, type FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { codeOf, messageOf } from '../errors.js';
import { ImageError } from '../image/errors.js';
import { extractIso } from '../image/iso/extract.js';
import { printable } from '../image/printable.js';
import { findNode, openIso, readNode, type IsoImage } from '../image/iso/reader.js';
import { fileSource } from '../image/iso/source.js';
import type { Contents } from '../image/nested/contents.js';
import { isoContents } from '../image/nested/iso.js';
import { insideOf, lookInside } from '../image/nested/open.js';
import { readFileOf } from '../osimage/contents.js';
import type { Context } from './context.js';
import { printEntries } from './entry-list.js';
import { describeIso, isoFacts, listNodes, nodeFacts } from './iso-text.js';

/** `iso inspect|ls|cat|extract`: looks into any ISO 9660 or UDF image, without root and without a site. */
export function registerIso(program: Command, context: Context): void {
  const iso = program.command('iso').description('look into an ISO image: volumes, boot entries, files');

  iso
    .command('inspect')
    .description('show the volumes, El Torito entries and partition tables of an image')
    .argument('<file>', 'the ISO image')
    .addHelpText('after', examples('iso inspect debian.iso', '--json iso inspect debian.iso'))
    .action((file: string) =>
      withIso(file, context, async (image) => {
        context.print(isoFacts(image), () => describeIso(image));
      }),
    );

  iso
    .command('ls')
    .description(
      'list what an image holds, or what lies below a path in it. FILE:PATH looks into a file of the image: an archive, a squashfs, an ISO; and so on inside of that',
    )
    .argument('<file>', 'the ISO image')
    .argument('[path]', 'a directory or file in the image; after a colon, one inside that file', '/')
    .addHelpText(
      'after',
      examples(
        'iso ls debian.iso',
        'iso ls debian.iso /boot',
        'iso ls debian.iso install.amd/initrd.gz:/etc',
        '--json iso ls debian.iso',
      ),
    )
    .action((file: string, path: string) =>
      withIso(file, context, async (image) => {
        const inside = await lookInto(image, file, path, ({ tree }, inner) =>
          printEntries(context, tree, inner),
        );
        if (inside !== undefined) return;
        const nodes = below(image, path);
        context.print(nodes.map(nodeFacts), () => listNodes(nodes));
      }),
    );

  iso
    .command('cat')
    .description(
      'write a file’s bytes to standard output; FILE:PATH writes one that lies inside of a file, as with iso ls; --json changes nothing',
    )
    .argument('<file>', 'the ISO image')
    .argument('<path>', 'a file in the image; after a colon, one inside that file')
    .addHelpText(
      'after',
      examples(
        'iso cat debian.iso /.disk/info',
        'iso cat debian.iso install/vmlinuz > vmlinuz',
        'iso cat xcp-ng.iso install.img:etc/passwd',
      ),
    )
    .action((file: string, path: string) =>
      withIso(file, context, async (image) => {
        const write = (bytes: AsyncIterable<Buffer>): Promise<void> =>
          pipeline(bytes, context.stdout, { end: false }).catch((error: unknown) => {
            if (codeOf(error) !== 'EPIPE') throw error; // the reader has seen enough: `… | head`
          });
        const inside = await lookInto(image, file, path, (contents, inner) =>
          write(readFileOf(contents, inner).data),
        );
        if (inside === undefined) await write(readNode(image, findNode(image, path)));
      }),
    );

  iso
    .command('extract')
    .description('write everything an image holds into a new or empty directory')
    .argument('<file>', 'the ISO image')
    .argument('<dir>', 'where to; owners, setuid bits and device nodes are not restored')
    .addHelpText('after', examples('iso extract debian.iso /tmp/debian'))
    .action((file: string, dir: string) =>
      withIso(file, context, async (image) => {
        const result = await extractIso(image, dir);
        for (const { path, reason } of result.skipped)
          context.note(`skipped /${printable(path)}: it ${reason}`);
        context.print(
          { dir, ...result },
          () =>
            `extracted ${result.files} files (${result.bytes} bytes), ${result.directories} directories and ${result.symlinks} links into ${dir}`,
        );
      }),
    );
}

async function withIso(
  path: string,
  context: Context,
  body: (image: IsoImage) => Promise<void>,
): Promise<void> {
  const file = await openImage(path);
  try {
    const { size } = await file.stat();
    const image = await openIso(fileSource(file, size)).catch((error: unknown) => {
      if (!(error instanceof ImageError)) throw error;
      throw new ImageError(error.code, `${path}: ${error.message}`, { cause: error });
    });
    if (image.udfProblem !== null) {
      context.note(
        `${path} holds a UDF file system too, which is not read (${image.udfProblem}): what only it lists is not shown`,
      );
    }
    await body(image);
  } finally {
    await file.close();
  }
}

async function openImage(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (error) {
    throw new ImageError(
      'NO_SUCH_ENTRY',
      `${path} cannot be opened (${codeOf(error) ?? messageOf(error)}). Name an ISO image.`,
      {
        cause: error,
      },
    );
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new ImageError('NOT_A_FILE', `${path} is not a regular file. Name an ISO image.`);
}

/** Runs `look` on what a path with a colon reaches inside of a file of `image`; gives back undefined for any other path. */
function lookInto(
  image: IsoImage,
  where: string,
  path: string,
  look: (contents: Contents, path: string) => void | Promise<void>,
): ReturnType<typeof lookInside<void>> {
  if (!path.includes(':')) return Promise.resolve(undefined);
  return lookInside(
    insideOf({ contents: isoContents(image), where }),
    path,
    async ({ contents, path: inner }) => look(contents, inner),
  );
}

function below(image: IsoImage, path: string): IsoImage['nodes'] {
  if (/^[/.]*$/.test(path)) return image.nodes;
  const top = findNode(image, path);
  return image.nodes.filter((node) => node === top || node.path.startsWith(`${top.path}/`));
}

function examples(...lines: readonly string[]): string {
  return ['', 'Examples:', ...lines.map((line) => `  rackboot ${line}`)].join('\n');
}
