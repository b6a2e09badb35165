import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { newSite } from '../cli/in-process.js';
import { freePort } from '../free-port.js';
import { writeEl } from '../osimage/family/el-media.js';
import { makeXcpNgIso, writeXcpNg } from '../osimage/family/xcp-ng-media.js';
import { writeDriverDisk, writeRepodata } from '../osimage/repodata.js';
import { serveFiles } from '../osimage/web-server.js';
import { shellLines, shellProgram } from './guide-blocks.js';

const exec = promisify(execFile);

const ANSWER = `<installation mode="fresh">
  <primary-disk>sda</primary-disk>
  <root-password type="plaintext">secret of {{ node.name }}</root-password>
  <source type="url">{{ tree }}</source>
  <admin-interface name="eth0" proto="dhcp"/>
</installation>
`;

test('every command of docs/iso.md and docs/boot.md runs, one after the other', async (t) => {
  t.timeout(600_000);
  const { dir, rackboot } = await newSite(t);
  // The guides verify against the site's own server, and nobody else's may answer there.
  await writeFile(join(dir, 'rackboot.yaml'), `http: { listen: '127.0.0.1:${await freePort()}' }\n`);
  const work = join(dir, '..', 'work');
  const web = join(work, 'web');
  await mkdir(join(web, 'netinstall'), { recursive: true });
  await writeXcpNg(join(work, 'media'));
  await writeRepodata(join(work, 'media'), []);
  const treeinfo = join(work, 'media', '.treeinfo');
  await writeFile(treeinfo, (await readFile(treeinfo, 'utf8')).replace(/^.*RPM-GPG-KEY.*\n/gm, ''));
  for (const name of ['RPM-GPG-KEY-xcpng', 'repodata/repomd.xml.asc']) await rm(join(work, 'media', name));
  makeXcpNgIso(join(work, 'media'), join(work, 'xcp-ng-8.3.0.iso'));
  makeXcpNgIso(join(work, 'media'), join(web, 'xcp-ng-8.3.0.iso'));
  await rename(join(work, 'media'), join(web, 'netinstall', '8.3'));
  await writeEl(join(work, 'rhel9'));
  const pack = join(work, 'packs', 'e1000e');
  await writeDriverDisk(pack);
  await mkdir(join(dir, 'layers/answers'), { recursive: true });
  await writeFile(join(dir, 'layers/answers/answerfile.liquid'), ANSWER);
  const { url } = await serveFiles(t, web);
  for (const n of [1, 2])
    t.is(
      (
        await rackboot(
          'node',
          'add',
          `n${n}`,
          '--mac',
          `52540000000${n}`,
          '--ip',
          `10.77.0.${n}`,
          '--group',
          'rack1',
        )
      ).status,
      0,
    );

  const lines = [
    ...(await shellLines('iso.md')),
    'rackboot nodeset all boot',
    ...(await shellLines('boot.md')),
  ];
  const imported = new Set<string>();
  for (const line of lines) {
    const [, name] = /^rackboot image import .* --name (\S+)$/.exec(line) ?? [];
    if (line.endsWith('--answerfile'))
      t.is((await rackboot('image', 'build', 'xcp83', '--layers', 'answers')).err, '');
    // The guide shows several ways to make one osimage.
    if (name !== undefined && imported.has(name)) await rackboot('image', 'rm', name);
    if (name !== undefined) imported.add(name);
    const here = line
      .replaceAll('https://example.com', url)
      .replaceAll('/mnt/rhel9', join(work, 'rhel9'))
      .replaceAll('/srv/packs', join(work, 'packs'))
      .replaceAll('/tmp/xcp83', join(work, 'extracted'));
    const run = (): Promise<unknown> =>
      exec('bash', ['-c', shellProgram(dir) + here], { cwd: work, timeout: 120_000 });
    await t.notThrowsAsync(run(), line);
  }
  t.true(lines.length > 20, `${lines.length} commands`);
});
