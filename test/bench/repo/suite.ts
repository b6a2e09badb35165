import { copyFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { packageRoot } from '../../../src/site/assets.js';
import { serveDirectory } from '../../repo/web-server.js';
import { median, shell, type Run } from '../measure.js';
import type { Row } from '../ratio-table.js';
import { makePackages } from './corpus.js';

const CLI = path.join(packageRoot(), 'dist/bundle/main.js');
const COUNT = 2000;
const KILOBYTES = 1024; // what the packages of an XCP-ng ISO have, on average

type Say = (line: string) => void;

/** Measures package repositories: adding one package to two thousand, and mirroring them. */
export async function benchRepo(directory: string, say: Say): Promise<Row[]> {
  say(`making ${COUNT} packages of ${KILOBYTES} KiB`);
  await makePackages(path.join(directory, 'web', 'repository'), COUNT, KILOBYTES);
  await makePackages(path.join(directory, 'added'), 12, KILOBYTES, 'added');
  return [...(await benchMetadata(directory, say)), ...(await benchMirror(directory, say))];
}

/** Our command, by a shell as the others’, and without a list of certificates that every Node would read at its start. */
const rackboot = (directory: string, words: string): Promise<Run> =>
  shell(`unset NODE_EXTRA_CA_CERTS; ${process.execPath} ${CLI} ${words}`, directory);

/** The part that makes metadata, of the packages that are in `directory`. */
export async function benchMetadata(directory: string, say: Say): Promise<Row[]> {
  const repository = path.join(directory, 'web', 'repository');
  const build = (): Promise<Run> => rackboot(directory, `repo build --no-check ${repository}`);
  const added = (await readdir(path.join(directory, 'added'))).filter((name) => name.endsWith('.rpm'));
  let next = 0;
  const add = async (): Promise<void> => {
    const name = added[next++];
    if (name === undefined) throw new Error('no package is left to be added');
    await copyFile(path.join(directory, 'added', name), path.join(repository, name));
  };
  const createrepo = 'createrepo_c --quiet --no-database --general-compress-type=gz';
  const rows: Row[] = [];
  for (const cache of ['cold', 'warm'] as const) {
    const prepare = async (): Promise<void> => {
      if (cache === 'cold') await shell('sync; echo 3 > /proc/sys/vm/drop_caches', directory);
    };
    say(`the metadata from nothing, createrepo_c’s and ours; page cache ${cache}`);
    const fromNothing = (make: () => Promise<Run>): Promise<Run> =>
      median(3, async () => {
        await rm(path.join(repository, 'repodata'), { recursive: true, force: true });
        await prepare();
        return make();
      });
    const theirScratch = await fromNothing(() => shell(`${createrepo} ${repository}`, directory));
    const ourScratch = await fromNothing(build);
    say(`one package added; page cache ${cache}`);
    const updated = await median(3, async () => {
      await add();
      await prepare();
      return shell(`${createrepo} --update ${repository}`, directory);
    });
    const incremental = await median(3, async () => {
      await add();
      await prepare();
      return build();
    });
    const one = {
      work: `one package added to ${COUNT}, ${cache}`,
      ours: incremental.seconds,
      unit: 's',
      goal: { most: 1 / 10 },
      note: `packages of ${KILOBYTES} KiB`,
    } as const;
    rows.push(
      { ...one, peer: 'rackboot repo build from nothing', theirs: ourScratch.seconds },
      { ...one, peer: 'createrepo_c from nothing', theirs: theirScratch.seconds },
      { ...one, peer: 'createrepo_c --update', theirs: updated.seconds, goal: { most: 1.5 } },
    );
  }
  return rows;
}

/** The part that mirrors what is in `directory`. */
export async function benchMirror(directory: string, say: Say): Promise<Row[]> {
  const stops: (() => unknown)[] = [];
  const { url } = await serveDirectory(
    { teardown: (stop) => void stops.push(stop) },
    path.join(directory, 'web'),
  );
  const mirrors: string[] = [];
  /**
   * Runs `mirror` into a new directory. The files of the one before are emptied, not removed: ext4 takes a minute to
   * use an inode again, and looking for others would be what is measured.
   */
  const fresh = async (mirror: (into: string) => Promise<Run>): Promise<Run> => {
    const before = mirrors.at(-1);
    if (before !== undefined)
      await shell(`find ${before} -type f -print0 | xargs -0 truncate -s 0 && sync`, directory);
    const into = path.join(directory, `mirror-${mirrors.length}`);
    mirrors.push(into);
    return mirror(into);
  };
  try {
    const mirror = (into: string): Promise<Run> => rackboot(directory, `repo mirror ${url}/ ${into}`);
    const lftp =
      (options: string) =>
      (into: string): Promise<Run> =>
        shell(`lftp -c 'mirror --delete ${options} ${url}/ ${into}'`, directory);
    const again = (run: (into: string) => Promise<Run>): Promise<Run> =>
      median(3, () => run(mirrors.at(-1)!));
    say('the mirror of it over HTTP, lftp’s and ours');
    const theirParallel = await median(3, () => fresh(lftp('--parallel=8')));
    const sums = path.join(directory, 'sums');
    await shell(
      `cd ${path.join(directory, 'web')} && find . -type f -print0 | xargs -0 sha256sum > ${sums}`,
      directory,
    );
    const checked = await median(3, () =>
      fresh((into) =>
        shell(
          `lftp -c 'mirror --delete ${url}/ ${into}' && cd ${into} && sha256sum --quiet -c ${sums}`,
          directory,
        ),
      ),
    );
    const theirFirst = await median(3, () => fresh(lftp('')));
    const theirSecond = await again(lftp(''));
    const ourFirst = await median(3, () => fresh(mirror));
    say('the mirror again, nothing new');
    const ourSecond = await again(mirror);
    const first = {
      work: `mirror of ${COUNT} packages, 2 GB`,
      ours: ourFirst.seconds,
      unit: 's',
      goal: { most: 1 },
    } as const;
    return [
      { ...first, peer: 'lftp mirror', theirs: theirFirst.seconds, note: 'as mirror-repos.sh calls it' },
      { ...first, peer: 'lftp mirror --parallel=8', theirs: theirParallel.seconds },
      {
        ...first,
        peer: 'lftp mirror && sha256sum -c',
        theirs: checked.seconds,
        note: 'as much as ours checks',
      },
      {
        work: 'mirror again, nothing new',
        peer: 'lftp mirror',
        ours: ourSecond.seconds,
        theirs: theirSecond.seconds,
        unit: 's',
        goal: { most: 1 },
      },
    ];
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}
