import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { BootEntry } from '../../src/osimage/types.js';
import { writeMedia } from '../boot/machine-image.js';
import { newSite } from '../cli/in-process.js';

test('layers add words to the hypervisor’s line and to its kernel’s, the highest last', async (t) => {
  const { dir, rackboot } = await newSite(t);
  const must = async (...words: string[]): Promise<string> => {
    const { status, out, err } = await rackboot(...words);
    t.is(status, 0, err);
    return out;
  };
  const media = join(dir, '../media');
  await writeMedia(media, 'single');
  await must('image', 'import', media, '--name', 'x');
  for (const [name, bootargs, xenargs] of [
    ['low', 'a=1', 'loglvl=all # what it says\nguest_loglvl=all'],
    ['high', 'a=2', 'com2={{ node.attributes.com2 | default: "off" }}'],
  ] as const) {
    const layer = join(dir, 'layers', name);
    await mkdir(layer, { recursive: true });
    await writeFile(join(layer, 'bootargs'), `${bootargs}\n`);
    await writeFile(join(layer, 'xenargs'), `${xenargs}\n`);
  }
  await must('image', 'build', 'x', '--layers', 'high:low');
  const { boot } = JSON.parse(await must('--json', 'image', 'show', 'x')) as { boot: BootEntry[] };
  const xen = boot.find((entry) => entry.kind === 'xen');
  t.is(
    xen?.kind === 'xen' && xen.hypervisorArgs,
    'dom0_mem=400M com1=115200,8n1 console=com1 loglvl=all guest_loglvl=all com2={{ node.attributes.com2 | default: "off" }}',
  );
  // In front of the media's own, where create-install-image puts them.
  t.is(xen?.args, 'a=1 a=2 console=hvc0 quiet');
  const shown = await must('image', 'show', 'x');
  t.regex(shown, /^boot {9}xen: boot\/xen\.gz \+ boot\/vmlinuz \+ install\.img\n {13}dom0_mem=400M /m);
  const diff = await must('image', 'diff', 'x', '1', '2');
  t.regex(diff, /loglvl=all[^]*---[^]*a=1 a=2/);
});

test('a mistake in xenargs shows when the image is built', async (t) => {
  const { dir, rackboot } = await newSite(t);
  const media = join(dir, '../media');
  await writeMedia(media, 'single');
  t.is((await rackboot('image', 'import', media, '--name', 'x')).status, 0);
  await mkdir(join(dir, 'layers/bad'), { recursive: true });
  await writeFile(join(dir, 'layers/bad/xenargs'), 'com1={{ node.nope }}\n');
  const { status, err } = await rackboot('image', 'build', 'x', '--layers', 'bad');
  t.is(status, 1);
  t.regex(err, /bad\/xenargs line 1: undefined variable: node\.nope; known are: /);
});
