import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { filesBelow } from '../../src/repo/files.js';
import { checkChecksums, type CheckedChecksums } from '../../src/repo/tree-checksums.js';
import { parseTreeinfo } from '../../src/repo/treeinfo.js';
import { verifyTree } from '../../src/repo/verify.js';
import { output } from '../image/programs.js';
import { workDirectory } from './rpm-packages.js';

const BOOT_IMAGES = ['isolinux/isolinux.bin', 'images/eltorito.img'];

for (const name of BOOT_IMAGES) {
  test(`${name} with the table that was written into it on the ISO is told of, and another change is wrong`, async (t) => {
    const work = await workDirectory(t);
    const [media, disc] = [path.join(work, 'media'), path.join(work, 'disc')];
    await mkdir(path.join(media, path.dirname(name)), { recursive: true });
    await copyFile('/usr/lib/ISOLINUX/isolinux.bin', path.join(media, name));
    const sum = createHash('sha256').update(await readFile(path.join(media, name)));
    const treeinfo = `[checksums]\n${name} = sha256:${sum.digest('hex')}\n`;
    await writeFile(path.join(media, '.treeinfo'), treeinfo);
    const iso = path.join(work, 'media.iso');
    await output('xorriso', [
      ...['-as', 'mkisofs', '-quiet', '-o', iso, '-R', '-c', 'boot.cat', '-b', name],
      ...['-no-emul-boot', '-boot-load-size', '4', '-boot-info-table', media],
    ]);
    await output('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/', disc]);
    const check = (dir: string): Promise<CheckedChecksums> =>
      checkChecksums(filesBelow(dir), parseTreeinfo(treeinfo, 'x'));
    t.deepEqual(await check(media), { findings: [], missing: [], notes: [] });
    const patched = await check(disc);
    t.deepEqual([patched.findings, patched.missing, patched.notes.length], [[], [], 1]);
    t.regex(patched.notes[0] ?? '', new RegExp(`${name}: .*boot-info table`));
    t.deepEqual((await verifyTree({ files: filesBelow(disc) })).notes, patched.notes);

    const bytes = await readFile(path.join(disc, name));
    const spoiled = path.join(work, 'spoiled');
    await mkdir(path.join(spoiled, path.dirname(name)), { recursive: true });
    for (const [what, wrong] of [
      ['cut', bytes.subarray(0, -1)],
      ['other', Buffer.from('another file')],
    ] as const) {
      await writeFile(path.join(spoiled, name), wrong);
      const { findings, notes } = await check(spoiled);
      t.deepEqual([findings.length, notes], [1, []], what);
    }
  });
}
