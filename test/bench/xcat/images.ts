import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { packageRoot } from '../../../src/site/assets.js';
import { makeRoot } from '../image/corpus.js';
import { median, node, shell, type Run } from '../measure.js';
import type { Row } from '../ratio-table.js';

const CLI = path.join(packageRoot(), 'dist/bundle/main.js');
const DEFAULT_MB = 1000;

/** What packimage runs: find, cpio and pigz, with what it leaves out of every image. */
const PIPELINE =
  "find . -xdev '!' -path './etc/init.d/statelite' -a '!' -path './etc/rc.sysinit.backup' -a '!' -path './.statelite*' -a '!' -path './.default*' -a '!' -path './.statebackup*' | cpio -H newc -o --quiet | pigz -c -";

/**
 * Measures what is done to a stateless image of 1 GB, or of as many MB as RACKBOOT_BENCH_MB says: one file changed,
 * against unpacking and packing it by hand; its tree packed, against packimage's pipeline, and packed again.
 */
export async function benchImages(directory: string, say: (line: string) => void): Promise<Row[]> {
  const bytes = Number(process.env['RACKBOOT_BENCH_MB'] ?? DEFAULT_MB) * 1e6;
  const media = path.join(directory, 'compute');
  const root = path.join(media, 'rootimg');
  const rackboot = (...words: string[]): Promise<Run> =>
    node(CLI, ['--site', path.join(directory, 'images-site'), ...words], directory);
  await rackboot('init');
  say(`making a tree of ${bytes / 1e6} MB of this machine’s files`);
  await mkdir(media);
  await makeRoot(root, bytes);
  await writeFile(path.join(media, 'kernel'), 'not booted here');
  await writeFile(path.join(media, 'initrd-stateless.gz'), 'not booted here');
  say('packimage’s pipeline, and image pack');
  const pipeline = await shell(`cd rootimg && ${PIPELINE} > ../rootimg.cpio.gz`, media);
  await importEmpty(directory, rackboot);
  const packed = await rackboot('image', 'pack', 'packed', root);
  say('packed again after a change of one file');
  const repacked = await median(3, async (index) => {
    await writeFile(path.join(root, 'hello'), `change ${index}\n`);
    return rackboot('image', 'pack', 'packed', root);
  });
  await rm(path.join(root, 'hello'));
  say('one file changed, and the procedure by hand');
  await rackboot('image', 'import', media, '--name', 'quick');
  const changed = await median(3, async (index) => {
    await writeFile(path.join(directory, 'hello'), `change ${index}\n`);
    return rackboot('image', 'put', 'quick', `${path.join(directory, 'hello')}:/etc/hello`);
  });
  const procedure = await byHand(directory, path.join(media, 'rootimg.cpio.gz'));
  return [
    {
      work: 'the quick change of one file',
      peer: 'pigz -d, cpio -i, cp, find | cpio -o | pigz',
      ours: changed.seconds,
      theirs: procedure.seconds,
      unit: 's',
      goal: { most: 1 / 50 },
    },
    {
      work: 'packimage',
      peer: 'its pipeline: find | cpio -o | pigz',
      ours: packed.seconds,
      theirs: pipeline.seconds,
      unit: 's',
      goal: { most: 1 },
    },
    {
      work: 'packimage again, one file changed',
      peer: 'its pipeline: find | cpio -o | pigz',
      ours: repacked.seconds,
      theirs: pipeline.seconds,
      unit: 's',
      goal: { most: 1 / 10 },
    },
  ];
}

/** An osimage with nothing in it, so that all that is packed into it is new. */
async function importEmpty(directory: string, rackboot: (...words: string[]) => Promise<Run>): Promise<void> {
  const media = path.join(directory, 'empty');
  await mkdir(media);
  await shell(
    'echo kernel > kernel; echo initrd > initrd-stateless.gz; echo kernel | cpio -H newc -o --quiet | gzip > rootimg.cpio.gz',
    media,
  );
  await rackboot('image', 'import', media, '--name', 'packed');
}

/** What the procedure for a quick change does: unpack the root image, copy the file in, and packimage. */
async function byHand(directory: string, image: string): Promise<Run> {
  const work = path.join(directory, 'by-hand');
  await mkdir(work);
  try {
    return await shell(
      `pigz -dc ${image} > rootimg.cpio && mkdir rootimg && cd rootimg && cpio -id --quiet < ../rootimg.cpio &&
         mkdir -p etc && echo change > etc/hello && ${PIPELINE} > ../rootimg.cpio.gz`,
      work,
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
