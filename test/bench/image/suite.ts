import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../../../src/site/assets.js';
import { median, node, shell, type Run } from '../measure.js';
import type { Row } from '../ratio-table.js';
import { makeCorpus, makeLargeCorpus, type Corpus } from './corpus.js';

const CLI = path.join(packageRoot(), 'dist/bundle/main.js');
const SCAN = fileURLToPath(new URL('scan.js', import.meta.url));
const PACK = fileURLToPath(new URL('pack.js', import.meta.url));
const MB = 1e6;

/** Measures the image engine: imports, edits, listing, and memory. */
export async function benchImage(directory: string, say: (line: string) => void): Promise<Row[]> {
  say('making an archive of 1 GB of this machine’s files, and its .gz and .bz2');
  const corpus = await makeCorpus(path.join(directory, 'corpus'));
  const site = new BenchSite(directory, 'site');
  await site.run('init');
  const rows: Row[] = [];
  const memory = { gzip: 0, bzip2: 0 };
  for (const format of FORMATS) {
    say(`${format.name}: import, and the peer’s decompression of the same file`);
    const imported = await site.import(format.name, format.file(corpus));
    const peerImport = await shell(format.peerImport(format.file(corpus)), directory);
    say(`${format.name}: one file changed, and the peer’s way to the same`);
    const changed = await median(3, (index) => site.changeOneFile(format.name, `change ${index}\n`));
    const repacked = await repackByHand(directory, format, corpus);
    memory[format.name] = Math.max(imported.peak!, changed.peak!);
    rows.push(
      {
        work: `publish a one-file change, ${format.name}`,
        peer: format.peerRepackName,
        ours: changed.seconds,
        theirs: repacked.seconds,
        unit: 's',
        goal: { most: 1 / 50 },
      },
      {
        work: `first import, ${format.name}`,
        peer: format.peerImport('f'),
        ours: imported.seconds,
        theirs: peerImport.seconds,
        unit: 's',
        goal: { most: format.importGoal },
      },
    );
  }
  rows.push(...(await listing(corpus, say)), ...(await packing(corpus, say)));
  rows.push(...(await fullRepacks(site, directory, corpus, say)));
  rows.push(...(await memoryOfLarge(directory, corpus, memory, say)));
  return rows;
}

interface Format {
  readonly name: 'gzip' | 'bzip2';
  readonly compress: string;
  readonly decompress: string;
  readonly peerRepackName: string;
  readonly importGoal: number;
  file(corpus: Corpus): string;
  peerImport(file: string): string;
}

const FORMATS: readonly Format[] = [
  {
    name: 'gzip',
    compress: 'pigz',
    decompress: 'pigz -dc',
    peerRepackName: 'pigz -dc | cpio -id, cp, find | cpio -o | pigz',
    importGoal: 0.9,
    file: ({ gz }) => gz,
    peerImport: (file) => `pigz -dc ${file} | pigz -i > g`,
  },
  {
    name: 'bzip2',
    compress: 'lbzip2',
    decompress: 'lbzip2 -dc',
    peerRepackName: 'lbzip2 -dc | cpio -id, cp, find | cpio -o | lbzip2',
    importGoal: 1.5,
    file: ({ bz2 }) => bz2,
    peerImport: (file) => `lbzip2 -dc ${file} > /dev/null`,
  },
];

/** What an administrator does by hand: unpack the archive, copy the file in, pack it again. */
async function repackByHand(directory: string, format: Format, corpus: Corpus): Promise<Run> {
  const work = path.join(directory, 'by-hand');
  await mkdir(work);
  try {
    return await shell(
      `mkdir root && cd root && ${format.decompress} ${format.file(corpus)} | cpio -idm --quiet &&
         echo change > hello && find . -print0 | cpio -o0 -H newc --quiet | ${format.compress} > ../new`,
      work,
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function listing(corpus: Corpus, say: (line: string) => void): Promise<Row[]> {
  say('listing an archive');
  const ours = await median(3, () => inMemory(SCAN, corpus.cpio));
  const rows: Row[] = [];
  for (const peer of ['cpio -t', 'bsdcpio -t', 'cat | bsdcpio -t'] as const) {
    const command =
      peer === 'cat | bsdcpio -t' ? `cat ${corpus.cpio} | bsdcpio -it` : `${peer} < ${corpus.cpio}`;
    const theirs = await median(3, () => shell(command.replace('bsdcpio -t', 'bsdcpio -it'), '/'));
    if (theirs.output.length === 0) throw new Error(`${peer} listed nothing`);
    rows.push({
      work: 'cpio parse from memory',
      peer: peer === 'bsdcpio -t' ? 'bsdcpio -t, which seeks over contents' : peer,
      ours: corpus.size / MB / ours.seconds,
      theirs: corpus.size / MB / theirs.seconds,
      unit: 'MB/s',
      goal: { least: 1.5 },
    });
  }
  return rows;
}

async function packing(corpus: Corpus, say: (line: string) => void): Promise<Row[]> {
  say('packing a directory, without compression');
  const ours = await median(3, () => inMemory(PACK, corpus.root));
  const rows: Row[] = [];
  for (const [peer, pack] of [
    ['cpio -o', 'cpio -o0 -H newc --quiet'],
    ['bsdcpio -o', 'bsdcpio -o0 -H newc --quiet'],
  ] as const) {
    const theirs = await median(3, () => shell(`find . -print0 | ${pack} > /dev/null`, corpus.root));
    rows.push({
      work: 'cpio pack from memory',
      peer: `find | ${peer}, files in the page cache`,
      ours: corpus.size / MB / ours.seconds,
      theirs: corpus.size / MB / theirs.seconds,
      unit: 'MB/s',
      goal: { least: 1.5 },
    });
  }
  return rows;
}

/** A run of a program that measures what it does by itself, once what it works on is in memory. */
async function inMemory(script: string, argument: string): Promise<Run> {
  const run = await node(script, [argument], '/');
  return { ...run, seconds: Number(run.output.split('\n', 1)[0]) };
}

/** The whole archive packed and compressed anew: as rackboot does it, and by the program that sites may ask for. */
async function fullRepacks(
  site: BenchSite,
  directory: string,
  corpus: Corpus,
  say: (line: string) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [format, program, peer] of [
    ['gzip', 'pigz', 'pigz'],
    ['bzip2', 'bzip2', 'lbzip2'],
  ] as const) {
    say(`${format}: full repack, and the peer’s`);
    await writeFile(path.join(corpus.root, 'packed-by'), format); // so that there is something new
    const theirs = await shell(
      `cd ${corpus.root} && find . -print0 | cpio -o0 -H newc --quiet | ${peer} > ${directory}/whole`,
      directory,
    );
    for (const options of [[], ['--compress', program]]) {
      const blank = `blank-${format}${options.length}`;
      const archive = path.join(directory, blank);
      await shell(`echo . | cpio -o -H newc --quiet | ${format} > ${archive}`, corpus.root);
      await site.import(blank, archive);
      const ours = await site.run('image', 'pack', blank, corpus.root, ...options);
      rows.push({
        work: ['full repack', format, ...options].join(' '),
        peer: `cpio -o | ${peer}`,
        ours: ours.seconds,
        theirs: theirs.seconds,
        unit: 's',
        goal: { most: 1.05 },
      });
    }
  }
  await rm(path.join(directory, 'whole'));
  return rows;
}

async function memoryOfLarge(
  directory: string,
  corpus: Corpus,
  small: Readonly<Record<Format['name'], number>>,
  say: (line: string) => void,
): Promise<Row[]> {
  say('making an archive of 4 GB');
  const large = await makeLargeCorpus(corpus, path.join(directory, 'large'));
  const site = new BenchSite(directory, 'large-site');
  await site.run('init');
  const rows: Row[] = [];
  for (const format of FORMATS) {
    say(`${format.name}: memory of importing and editing 4 GB`);
    const imported = await site.import(format.name, format.file(large));
    const changed = await site.changeOneFile(format.name, 'change\n');
    rows.push({
      work: `peak memory, 4 GB, ${format.name}`,
      peer: 'rackboot on 1 GB',
      ours: Math.max(imported.peak!, changed.peak!) / MB,
      theirs: small[format.name] / MB,
      unit: 'MB',
      goal: { most: 1.2 },
      note: 'and under 400 MB',
    });
  }
  return rows;
}

/** A site that is worked on through the command line, as an operator does. */
class BenchSite {
  readonly #directory: string;
  readonly #site: string;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#site = path.join(directory, name);
  }

  run(...args: string[]): Promise<Run> {
    return node(CLI, ['--site', this.#site, ...args], this.#directory);
  }

  /** Imports an archive with a kernel beside it; the kernel is a stand-in that nothing boots. */
  async import(name: string, archive: string): Promise<Run> {
    const media = path.join(this.#directory, `media-${name}`);
    await mkdir(media, { recursive: true });
    await cp(archive, path.join(media, 'initrd'));
    await writeFile(path.join(media, 'vmlinuz'), 'not booted here');
    const run = await this.run('image', 'import', media, '--name', name);
    await rm(media, { recursive: true });
    return run;
  }

  async changeOneFile(name: string, text: string): Promise<Run> {
    const file = path.join(this.#directory, 'hello');
    await writeFile(file, text);
    return this.run('image', 'put', name, `${file}:/hello`);
  }
}
