import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { packageRoot } from '../../src/site/assets.js';
import { newSite } from '../cli/in-process.js';
import { shellProgram } from './guide-blocks.js';

const exec = promisify(execFile);

/** The commands of the section on packing of docs/xcat.md. */
async function commands(): Promise<string[]> {
  const text = await readFile(join(packageRoot(), 'docs/xcat.md'), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith('Images: packing')) ?? '';
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
    block.trimEnd().split('\n'),
  );
}

/** Files below `dir`, by their names, with their text. */
async function write(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(dir, name, '..'), { recursive: true });
    await writeFile(join(dir, name), text);
  }
}

test('every command of the section on packing of docs/xcat.md runs', async (t) => {
  const { dir, rackboot } = await newSite(t);
  const work = join(dir, '..');
  const root = {
    'etc/hosts': 'hosts\n',
    'usr/share/zoneinfo/Europe/Berlin': 'TZif\n',
    'usr/share/doc/a': 'a\n',
  };
  await write(join(work, 'install/netboot/rocky9.4/x86_64/compute/rootimg'), root);
  await write(join(work, 'rootimg'), root);
  await write(work, {
    'install/netboot/rocky9.4/x86_64/compute/kernel': 'kernel',
    'install/netboot/rocky9.4/x86_64/compute/initrd-stateless.gz': 'initrd',
    'install/custom/compute.exlist': './usr/share/doc*\n',
    'install/custom/compute.synclist': `APPEND:\n${work}/more -> /etc/hosts\n`,
    'install/postscripts/xcatdsklspost': '#!/bin/sh\n',
    'my.exlist': './usr/share/zoneinfo*\n',
    more: 'more\n',
  });
  t.is((await rackboot('node', 'add', 'n1', '--mac', '525400000001', '--group', 'rack1')).status, 0);
  const lines = await commands();
  for (const line of lines) {
    const here = line.replaceAll('/install/', join(work, 'install/'));
    await t.notThrowsAsync(
      exec('bash', ['-c', shellProgram(dir) + here], { cwd: work, timeout: 120_000 }),
      line,
    );
  }
  t.is(lines.length, 8);
  t.notRegex((await rackboot('image', 'files', 'compute')).out, /zoneinfo/);
  t.regex((await rackboot('nodeset', 'n1', 'stat')).out, /^n1: /);
});
