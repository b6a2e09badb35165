import { cp, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { shell } from '../measure.js';

const GB = 1_000_000_000;

/** A root directory made of the machine's own files, and archives of it. */
export interface Corpus {
  readonly root: string;
  readonly cpio: string; // newc
  readonly gz: string; // by pigz
  readonly bz2: string; // by lbzip2
  readonly size: number; // bytes of the cpio
}

/** Makes a corpus of about 1 GB. */
export async function makeCorpus(directory: string): Promise<Corpus> {
  await mkdir(directory);
  const root = path.join(directory, 'root');
  await makeRoot(root, GB);
  return archives(directory, root);
}

/** Makes a root directory of about `size` bytes, of /usr's files in the order of their names. */
export async function makeRoot(root: string, size: number): Promise<void> {
  await mkdir(root);
  await shell(
    `find /usr -xdev \\( -type f -o -type d -o -type l \\) -printf '%s %P\\0' | LC_ALL=C sort -z -k 2 |
       awk -v RS='\\0' -v ORS='\\0' '{ size = $1; sub(/^[0-9]+ /, ""); if ($0 == "") next; sum += size; if (sum <= ${size}) print }' |
       (cd /usr && cpio -0pdm --quiet ${JSON.stringify(root)})`,
    root,
  );
}

/** Makes a corpus of four copies of `one`. */
export async function makeLargeCorpus(one: Corpus, directory: string): Promise<Corpus> {
  const root = path.join(directory, 'root');
  await mkdir(root, { recursive: true });
  for (const copy of ['a', 'b', 'c', 'd'])
    await cp(one.root, path.join(root, copy), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
  return archives(directory, root);
}

async function archives(directory: string, root: string): Promise<Corpus> {
  await shell(
    `cd root && find . -print0 | LC_ALL=C sort -z | cpio -o0 -H newc --quiet > ../root.cpio && cd .. &&
       pigz -nk root.cpio && lbzip2 -k root.cpio`,
    directory,
  );
  const file = (name: string): string => path.join(directory, name);
  const { size } = await stat(file('root.cpio'));
  return { root, cpio: file('root.cpio'), gz: file('root.cpio.gz'), bz2: file('root.cpio.bz2'), size };
}
