import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { imageSite } from '../../cli/image-site.js';
import { item } from '../../image/newc.js';
import { rootItems } from './root-items.js';

const EXECUTABLE = 0o100755;

test('a command that cannot be run: what is missing is named', async (t) => {
  const { rackboot } = await imageSite(t, [
    ...rootItems(),
    item({
      name: 'bin/script',
      ino: 800,
      mode: EXECUTABLE,
      data: Buffer.from('#! /usr/bin/python9 -I\nprint()\n'),
    }),
    item({
      name: 'bin/program',
      ino: 801,
      mode: EXECUTABLE,
      data: changed(readFileSync('/bin/true'), '/lib64/ld-linux-x86-64.so.2', '/lib64/ld-linux-x86-64.so.9'),
    }),
    item({ name: 'bin/alias', ino: 802, mode: 0o120777, data: Buffer.from('script') }),
  ]);
  for (const [command, why] of [
    [['nonesuch'], 'there is no nonesuch in the image'],
    [['/etc/nonesuch'], 'there is no /etc/nonesuch in the image'],
    [['script'], '/bin/script is in the image, and /usr/bin/python9, which it is run by, is not'],
    [['/bin/alias', 'x'], '/bin/script is in the image, and /usr/bin/python9, which it is run by, is not'],
    [
      ['bin/program'],
      '/bin/program is in the image, and /lib64/ld-linux-x86-64.so.9, which it is run by, is not',
    ],
    [['sh', '-c', 'nonesuch'], 'a program that it runs is not in the image'],
  ] as const) {
    const { status, err } = await rackboot('image', 'edit', 'x', '--', ...command);
    t.is(status, 1);
    t.true(
      err.includes(
        `ended with status 127: ${why}; the image stays as it was, mend the command and run it again\n`,
      ),
      err,
    );
  }
});

function changed(bytes: Buffer, from: string, to: string): Buffer {
  const at = bytes.indexOf(from);
  if (at < 0) throw new Error(`no ${from} in it`);
  bytes.write(to, at, 'latin1');
  return bytes;
}

test('what is no directory is not packed, and what links to nothing is not unpacked', async (t) => {
  const { work, rackboot } = await imageSite(t, [
    item({ name: 'a', ino: 1 }),
    item({ name: 'empty', ino: 2, mode: 0o120777, data: Buffer.alloc(0) }),
  ]);
  const none = join(work, 'none');
  const file = join(work, 'file');
  writeFileSync(file, '');
  for (const [words, message] of [
    [
      ['pack', 'x', none],
      `${none}: there is no such directory; name the one that rackboot image unpack wrote, or another root directory`,
    ],
    [['pack', 'x', file], `${file}: not a directory; unpack an archive first, or import it as it is`],
    [
      ['unpack', 'x', join(work, 'out')],
      '/empty is a symbolic link to nothing (its target is empty), which no file system holds; take it out of the image with rackboot image delete',
    ],
  ] as const) {
    const { status, err } = await rackboot('image', ...words);
    t.is(status, 1);
    t.true(err.endsWith(`rackboot: ${message}\n`), err);
  }
});
