/** On a small file system of its own: what the commands say and leave when it is full. Prints what it saw, as JSON. */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand, type Outcome } from '../in-process.js';

const [, , work = '', disk = ''] = process.argv;
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
const site = join(disk, 'site');
const seen: Record<string, unknown> = {};

function rackboot(...words: string[]): Promise<Outcome> {
  return runCommand(['--site', site, ...words]);
}

/** A command's outcome, and whether the site is as it was. */
async function tried(...words: string[]): Promise<unknown> {
  const history = await rackboot('--json', 'image', 'history', 'd12');
  const { status, out, err } = await rackboot(...words);
  const lines = err.split('\n').filter((line) => !/^ *\d+ % /.test(line));
  return {
    status,
    out,
    err: lines.join('\n').replaceAll(disk, 'DISK'),
    osimages: (JSON.parse((await rackboot('--json', 'image', 'ls')).out) as unknown[]).length,
    same: history.out === (await rackboot('--json', 'image', 'history', 'd12')).out,
    verified: (await rackboot('image', 'verify', 'd12')).status,
    temporary: readdirSync(join(site, 'store', 'tmp')).length,
    beside: readdirSync(disk),
  };
}

for (const words of [['init'], ['image', 'import', join(work, 'media'), '--name', 'd12']]) {
  const { status, err } = await rackboot(...words);
  if (status !== 0) throw new Error(err);
}
seen['import'] = await tried('image', 'import', join(work, 'large'), '--name', 'large');
seen['put'] = await tried('image', 'put', 'd12', `${join(work, 'large', 'linux')}:/large`);
seen['build'] = await tried('image', 'build', 'd12', '--layers', join(work, 'layer'));
seen['iso'] = await tried('image', 'iso', 'd12', '-o', join(disk, 'd12.iso'));

const filler = join(disk, 'filler');
try {
  for (;;) writeFileSync(filler, Buffer.alloc(4096, 1), { flag: 'a' });
} catch {
  // No byte is left now.
}
const small = join(work, 'media', 'linux');
const { status, out, err } = await rackboot('image', 'put', 'd12', `${small}:/small`);
seen['full'] = { status, out, err: err.replaceAll(disk, 'DISK') };
rmSync(filler);
seen['freed'] = await rackboot('image', 'put', 'd12', `${small}:/small`).then((ended) => ended.status);
seen['kept'] = await rackboot('image', 'cat', 'd12', '/small').then((ended) => ended.out.length);
seen['verify'] = await rackboot('store', 'verify').then((ended) => ended.status);
process.stdout.write(JSON.stringify(seen));
