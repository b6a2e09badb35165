import { randomFillSync } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { packageRoot } from '../../../src/site/assets.js';
import { writeXcpNg } from '../../osimage/family/xcp-ng-media.js';
import { median, node, shell, type Run } from '../measure.js';
import type { Row } from '../ratio-table.js';

const CLI = path.join(packageRoot(), 'dist/bundle/main.js');
const MB = 1e6;
const PACKAGES = 350;

/** create-iso's own way to an ISO (create-install-image), and until it is on the disk, as ours is. */
const peerCommand = (tree: string, iso: string): string =>
  [
    `genisoimage -quiet -o ${iso} -r -J --joliet-long -V "XCP-ng 8.3.0" -input-charset utf-8`,
    '-c boot/isolinux/boot.cat -b boot/isolinux/isolinux.bin -no-emul-boot -boot-load-size 4 -boot-info-table',
    `-eltorito-alt-boot --efi-boot boot/efiboot.img -no-emul-boot ${tree}`,
    `&& isohybrid --uefi ${iso} && sync ${iso}`,
  ].join(' ');

/** Measures how fast an ISO of 700 MB is written, as create-install-image writes it. */
export async function benchIso(directory: string, say: (line: string) => void): Promise<Row[]> {
  say('laying out an XCP-ng-shaped product of 700 MB');
  const tree = path.join(directory, 'tree');
  await writeXcpNg(tree);
  await mkdir(path.join(tree, 'Packages'), { recursive: true });
  for (let at = 0; at < PACKAGES; at++)
    await writeFile(
      path.join(tree, 'Packages', `package-${at}-1.0-1.x86_64.rpm`),
      randomFillSync(Buffer.alloc(2 * MB)),
    );
  const site = path.join(directory, 'site');
  const rackboot = (...words: string[]): Promise<Run> => node(CLI, ['--site', site, ...words], directory);
  await rackboot('init', site);
  say('importing it');
  await rackboot('image', 'import', tree, '--name', 'xcp');
  const iso = (name: string, index: number): string => path.join(directory, `${name}-${index}.iso`);
  const runs: { ours: Run[]; theirs: Run[] } = { ours: [], theirs: [] };
  for (let index = 0; index < 3; index++) {
    say(`run ${index + 1} of 3: theirs, ours`);
    runs.theirs.push(await shell(peerCommand(tree, iso('theirs', index)), directory));
    runs.ours.push(await rackboot('image', 'iso', 'xcp', '-o', iso('ours', index)));
    for (const name of ['theirs', 'ours']) await rm(iso(name, index));
  }
  const ours = await median(3, (index) => Promise.resolve(runs.ours[index]!));
  const theirs = await median(3, (index) => Promise.resolve(runs.theirs[index]!));
  return [
    {
      work: 'write the ISO of 700 MB',
      peer: 'genisoimage … && isohybrid --uefi, synced',
      ours: ours.seconds,
      theirs: theirs.seconds,
      unit: 's',
      goal: { most: 1 },
      note: `at most ${Math.round(Math.max(...runs.ours.map(({ peak }) => peak ?? 0)) / MB)} MB of memory`,
    },
  ];
}
