import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import { archiveBytes, type Item } from '../image/newc.js';
import { runCommand, type Outcome } from './in-process.js';

/** A new site with osimage `x`, a lone gzip archive of `items`, and ways to run commands on it. */
export async function imageSite(
  t: ExecutionContext,
  items: readonly Item[],
): Promise<{
  readonly dir: string; // of the site
  readonly work: string; // an empty directory beside it
  readonly rackboot: (...words: string[]) => Promise<Outcome>;
  readonly json: <T = Record<string, unknown>>(...words: string[]) => Promise<T>;
}> {
  const work = await mkdtemp(join(tmpdir(), 'rackboot-image-'));
  t.teardown(() => rm(work, { recursive: true, force: true }));
  const dir = join(work, 'site');
  const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', dir, ...words]);
  const succeed = async (...words: string[]): Promise<string> => {
    const { status, out, err } = await rackboot(...words);
    if (status !== 0) throw new Error(`${words.join(' ')}: ${err}`);
    return out;
  };
  await writeFile(join(work, 'x.img'), gzipSync(archiveBytes(items)));
  await succeed('init');
  await succeed('image', 'import', join(work, 'x.img'), '--name', 'x');
  return {
    dir,
    work,
    rackboot,
    json: async (...words) => JSON.parse(await succeed('--json', ...words)) as never,
  };
}
