import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { runCommand, type Outcome } from './in-process.js';

let parent = '';
const at = (...names: string[]): string => join(parent, ...names);
const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', at('site'), ...words]);

test.before(async () => {
  parent = await mkdtemp(join(tmpdir(), 'rackboot-trailer-'));
  await mkdir(at('root'));
  await writeFile(at('root/f'), '1\n');
  execFileSync('sh', ['-c', 'find . | cpio --quiet -o -H newc | gzip > ../root.gz'], { cwd: at('root') });
  execFileSync('sh', ['-c', 'tar -czf ../root.tar.gz .'], { cwd: at('root') });
  for (const words of [['init'], ['image', 'import', at('root.gz'), '--name', 'a']])
    if ((await rackboot(...words)).status !== 0) throw new Error(words.join(' '));
  await mkdir(at('layer/overlay'), { recursive: true });
  for (const file of ['layer/overlay/TRAILER!!!', 'layer/overlay/zz', 'root/TRAILER!!!'])
    await writeFile(at(file), 'x\n');
});
test.after.always(() => rm(parent, { recursive: true, force: true }));

for (const words of [
  () => ['image', 'put', 'a', `${at('root/f')}:/TRAILER!!!`, `${at('root/f')}:/zz`],
  () => ['image', 'put', 'a', `${at('root/f')}:/TRAILER!!!/x`],
  () => ['image', 'build', 'a', '--layers', at('layer')],
  () => ['image', 'pack', 'a', at('root')],
]) {
  test.serial(
    `nothing is published under the name that ends a cpio archive: ${words().slice(1, 3).join(' ')}, ${words().length} words`,
    async (t) => {
      const { status, err } = await rackboot(...words());
      t.is(status, 1, err);
      t.regex(err, /TRAILER!!!: this name ends a cpio archive/);
      const history = JSON.parse((await rackboot('--json', 'image', 'history', 'a')).out) as unknown[];
      t.is(history.length, 1);
    },
  );
}

test.serial('a tar archive may hold it', async (t) => {
  t.is((await rackboot('image', 'import', at('root.tar.gz'), '--name', 'b')).status, 0);
  const { status, err } = await rackboot('image', 'put', 'b', `${at('root/f')}:/TRAILER!!!`);
  t.is(status, 0, err);
});
