import { createCipheriv } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newSite } from '../cli/in-process.js';
import { served } from '../cli/served.js';
import { archiveBytes, item, type Item } from '../image/newc.js';
import { output } from '../image/programs.js';
import { rootItems } from '../osimage/edit/root-items.js';
import { censusInit, censusOf, censusOfItems } from './census.js';
import { BOOT_LIMIT_MS, debianFile, KERNEL, KERNEL_PACKAGE, runMachine } from './plain-machine.js';

const [DIR, EXECUTABLE] = [0o040755, 0o100755];
const edition = (text: string): Item => item({ name: 'etc/edition', ino: 90_001, data: Buffer.from(text) });

/** Noise of a megabyte and a half, so that there are blocks and segments that no edit touches. */
const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(
  Buffer.alloc(1_500_000),
);

/** What the vendor packs. */
const vendorItems: readonly Item[] = [
  ...rootItems(),
  censusInit,
  edition('the vendor’s\n'),
  item({ name: 'etc/unwanted', ino: 90_002, data: Buffer.from('not wanted\n') }),
  item({ name: 'etc/noise', ino: 90_003, data: noise }),
  item({ name: 'etc/null', ino: 90_004, mode: 0o020640, gid: 6, rdev: [1, 3] }),
];

const editionText = 'rackboot’s, and longer than the vendor’s was\n';
const toolText = '#!/bin/sh\necho TOOL-RAN\n';

/** What the commands of `edit` make of it. */
const editedItems: readonly Item[] = [
  ...vendorItems
    .filter(({ name }) => name !== 'etc/unwanted' && name !== 'home/two' && name !== 'etc/edition')
    .map((one) => (one.name === 'home/own' ? { ...one, mode: 0o104750 } : one))
    // Of the two names of this file, the deleted one carried the data.
    .map((one) => (one.name === 'home/one' ? { ...one, data: Buffer.from('linked\n') } : one)),
  edition(editionText),
  item({ name: 'usr', ino: 90_010, mode: DIR }),
  item({ name: 'usr/bin', ino: 90_011, mode: DIR }),
  item({ name: 'usr/bin/tool', ino: 90_012, mode: EXECUTABLE, data: Buffer.from(toolText) }),
  item({ name: 'srv', ino: 90_013, mode: DIR }),
  item({ name: 'srv/new', ino: 90_014, mode: DIR }),
  item({ name: 'srv/new/file', ino: 90_015, mode: 0o100600, data: Buffer.from('new\n') }),
];

interface Site {
  readonly work: string;
  readonly rackboot: (...words: string[]) => Promise<string>;
  readonly initrd: () => Promise<Buffer>; // as a node downloads it
}

async function importImage(t: ExecutionContext, file: Buffer): Promise<Site> {
  await debianFile(KERNEL, KERNEL_PACKAGE);
  const { dir, rackboot } = await newSite(t);
  const work = join(dir, '../work');
  await mkdir(work);
  await writeFile(join(work, 'x.img'), file);
  const site: Site = {
    work,
    async rackboot(...words) {
      const { status, out, err } = await rackboot(...words);
      if (status !== 0) throw new Error(`${words.join(' ')}: ${err}`);
      return out;
    },
    initrd: () => served(dir, 'x', 'x.img'),
  };
  await site.rackboot('image', 'import', join(work, 'x.img'), '--name', 'x', '--kernel', KERNEL);
  return site;
}

/** Changes, adds and deletes files, and changes a mode. */
async function edit({ work, rackboot }: Site): Promise<void> {
  const local = async (name: string, text: string, mode: number): Promise<string> => {
    await writeFile(join(work, name), text);
    await chmod(join(work, name), mode);
    return join(work, name);
  };
  const put = [
    `${await local('edition', editionText, 0o644)}:/etc/edition`,
    `${await local('tool', toolText, 0o755)}:/usr/bin/tool`,
    `${await local('file', 'new\n', 0o600)}:/srv/new/file`,
  ];
  await rackboot('image', 'put', 'x', ...put);
  await rackboot('image', 'delete', 'x', '/etc/unwanted', '/home/two');
  await rackboot('image', 'chmod', 'x', '4750', '/home/own');
}

/** Boots Debian's kernel with the initrd; what the machine wrote to its serial port. */
async function boot({ work }: Site, initrd: Buffer): Promise<string> {
  await writeFile(join(work, 'initrd'), initrd);
  return runMachine(work, [
    ...['-machine', 'pc', '-m', '512', '-kernel', KERNEL, '-initrd', 'initrd'],
    ...['-append', 'console=ttyS0 panic=-1 quiet'],
  ]);
}

/** How many bzip2 streams begin on a byte of `file`: the kernel reads one and panics at another. */
function bzip2Streams(file: Buffer): number {
  return file.toString('latin1').match(/BZh[1-9]1AY&SY/g)?.length ?? 0;
}

const checked = (one: Item): Item => ({
  ...one,
  magic: '070702',
  check: one.data.reduce((sum, byte) => (sum + byte) >>> 0, 0),
});

const microcode: readonly Item[] = [
  item({ name: 'kernel', ino: 80_000, mode: DIR }),
  item({ name: 'kernel/x86', ino: 80_001, mode: DIR }),
  item({ name: 'kernel/x86/microcode', ino: 80_002, mode: DIR }),
  item({
    name: 'kernel/x86/microcode/GenuineIntel.bin',
    ino: 80_003,
    data: Buffer.from('for another processor'),
  }),
];

const plain = archiveBytes(vendorItems);
const by = (program: string, ...args: string[]) => ({
  title: [program, ...args].join(' '),
  pack: (): Promise<Buffer> => output(program, args, plain),
});

const CASES: readonly {
  readonly title: string;
  readonly pack: () => Promise<Buffer>;
  readonly parts: readonly string[]; // codec and format of each archive in the file, after the edits too
  readonly first?: readonly Item[]; // what an archive before the main one holds
}[] = [
  { ...by('lbzip2', '-c'), parts: ['bzip2 newc'] },
  { ...by('bzip2', '-c'), parts: ['bzip2 newc'] },
  { ...by('pigz', '-ic'), parts: ['gzip newc'] },
  { ...by('gzip', '-c'), parts: ['gzip newc'] },
  { ...by('xz', '--check=crc32', '-0c'), parts: ['xz newc'] },
  { ...by('zstd', '-qc'), parts: ['zstd newc'] },
  { ...by('lz4', '-lqc'), parts: ['lz4 newc'] },
  { ...by('lzop', '-cq'), parts: ['lzo newc'] },
  { title: 'nothing', pack: () => Promise.resolve(plain), parts: ['none newc'] },
  {
    title: 'gzip after an archive of microcode',
    pack: async () => Buffer.concat([archiveBytes(microcode), await output('gzip', ['-c'], plain)]),
    parts: ['none newc', 'gzip newc'],
    first: microcode,
  },
  {
    title: 'gzip, with checksums (070702)',
    pack: () => output('gzip', ['-c'], archiveBytes(vendorItems.map(checked))),
    parts: ['gzip crc'], // whose sums the kernel checks
  },
];

for (const { title, pack, parts, first = [] } of CASES) {
  test.serial(`packed by ${title}: the kernel unpacks just what the edits make of it`, async (t) => {
    t.timeout(BOOT_LIMIT_MS + 120_000);
    const site = await importImage(t, await pack());
    await edit(site);
    const listed = JSON.parse(await site.rackboot('--json', 'image', 'parts', 'x')) as {
      codec: string;
      format: string;
    }[];
    t.deepEqual(
      listed.map(({ codec, format }) => `${codec} ${format}`),
      parts,
    );
    const serial = await boot(site, await site.initrd());
    t.deepEqual(censusOf(serial), censusOfItems([...first, ...editedItems]));
    t.regex(serial, /^TOOL-RAN\r?$/m);
    t.notRegex(serial, /Initramfs unpacking failed/);
  });
}

test.serial(
  'packed by pbzip2 in many streams, which the kernel refuses: one stream, which it reads',
  async (t) => {
    t.timeout(2 * BOOT_LIMIT_MS + 120_000);
    const vendor = await output('pbzip2', ['-c', '-b1', '-p4'], plain);
    t.true(bzip2Streams(vendor) > 4);
    const site = await importImage(t, vendor);
    t.regex(await boot(site, vendor), /Initramfs unpacking failed/);
    await edit(site);
    const initrd = await site.initrd();
    t.is(bzip2Streams(initrd), 1);
    const serial = await boot(site, initrd);
    t.deepEqual(censusOf(serial), censusOfItems(editedItems));
  },
);

test.serial('a command in a bzip2 image changes one path, and the kernel unpacks that change', async (t) => {
  t.timeout(BOOT_LIMIT_MS + 120_000);
  const site = await importImage(t, await output('lbzip2', ['-c'], plain));
  await site.rackboot('image', 'edit', 'x', '--', 'sh', '-c', 'echo hi > /etc/motd');
  const { paths } = JSON.parse(await site.rackboot('--json', 'image', 'diff', 'x')) as {
    paths: { path: string; change: string; what: string[] }[];
  };
  t.deepEqual(
    paths.map(({ path, change, what }) => ({ path, change, what })),
    [{ path: '/etc/motd', change: 'changed', what: ['content'] }],
  );
  const changed = vendorItems.map((one) =>
    one.name === 'etc/motd' ? { ...one, data: Buffer.from('hi\n') } : one,
  );
  t.deepEqual(censusOf(await boot(site, await site.initrd())), censusOfItems(changed));
});
