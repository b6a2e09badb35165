import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ImageError, type ImageErrorCode } from '../../../src/image/errors.js';
import { decodeRecords } from '../../../src/image/iso/directory.js';
import { openIso } from '../../../src/image/iso/reader.js';
import { bufferSource } from '../../../src/image/iso/source.js';
import { counterpart, makeTree, readAll, tempDir } from './counterparts.js';

const SECTOR = 2048;
const PVD = 16 * SECTOR;

async function smallImage(t: ExecutionContext, ...options: readonly string[]): Promise<Buffer> {
  const dir = await tempDir(t);
  const tree = join(dir, 'tree');
  await makeTree(tree, {
    'boot.img': Buffer.alloc(2048, 'b'),
    'dir/one': Buffer.alloc(5000, '1'),
    'dir/sub/two': 'two',
    'dir/sub/empty': '',
    link: { link: '../../somewhere/else' },
    [`${'long'.repeat(50)}`]: 'long',
    'a/b/c/d/e/f/g/h/i/deep': 'deep',
  });
  const path = join(dir, 'image.iso');
  const written = [
    '-as',
    'mkisofs',
    '-quiet',
    '-no-pad',
    '-b',
    'boot.img',
    '-no-emul-boot',
    '-o',
    path,
    ...options,
  ];
  await counterpart('xorriso', ...written, tree);
  return readFile(path);
}

/** Opens the image and reads every file: what it threw, if it threw. Anything but an ImageError is passed on. */
async function survive(image: Buffer): Promise<ImageErrorCode | undefined> {
  try {
    const iso = await openIso(bufferSource(image));
    for (const node of iso.nodes) {
      if (node.kind === 'file' && !node.compressed) await readAll(iso, node);
    }
    return undefined;
  } catch (error) {
    if (error instanceof ImageError && !error.message.includes('\n')) return error.code;
    throw error;
  }
}

/** A seeded source of numbers in [0, below) (xorshift32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test('10,000 mutations of an image give an image or an ImageError', async (t) => {
  t.timeout(240_000);
  const images = [await smallImage(t, '-R', '-J'), await smallImage(t, '-J'), await smallImage(t, '-R')];
  const random = randomNumbers(0x5eed);
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 10_000; round++) {
    const image = Buffer.from(images[round % images.length]!);
    // Mostly where the descriptors and directories are, and 1 to 24 bytes at a time.
    const end = random(4) === 0 ? image.length : PVD + 60 * SECTOR;
    for (let count = 1 + random(24); count > 0; count--) {
      let at = PVD + random(Math.min(end, image.length) - PVD);
      for (let tries = 0; image[at] === 0 && tries < 50; tries++) {
        at = PVD + random(Math.min(end, image.length) - PVD);
      }
      image[at] = random(3) === 0 ? [0, 1, 0x7f, 0xff][random(4)]! : random(256);
    }
    const outcome = (await survive(image)) ?? 'read';
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  for (const expected of ['read', 'BAD_ISO', 'TRUNCATED', 'BAD_MAGIC']) {
    t.true((outcomes.get(expected) ?? 0) > 20, `${expected} of ${JSON.stringify([...outcomes])}`);
  }
});

test('an image cut off anywhere is an ImageError', async (t) => {
  const image = await smallImage(t, '-R', '-J');
  const random = randomNumbers(0xc07);
  let lastFile = 0;
  for (const node of (await openIso(bufferSource(image))).nodes) {
    for (const extent of node.extents) lastFile = Math.max(lastFile, extent.offset + extent.length);
  }
  const places = [0, 1, 2047, 32767, 32768, PVD + 100, PVD + SECTOR, lastFile - 1];
  for (let count = 0; count < 500; count++) places.push(random(lastFile));
  for (const place of places) {
    t.regex((await survive(image.subarray(0, place))) ?? 'read', /^(TRUNCATED|BAD_MAGIC)$/, `at ${place}`);
  }
  t.is(await survive(image.subarray(0, lastFile)), undefined);
});

/** The position of the record named `name` (as recorded on disk) in the primary tree. */
function recordAt(image: Buffer, directorySector: number, name: string): number {
  let at = directorySector * SECTOR;
  for (const record of decodeRecords(image.subarray(at, at + SECTOR), SECTOR)) {
    if (record.name.toString('latin1') === name) return at;
    at += image[at]!;
  }
  throw new Error(`no record ${name}`);
}

function rootSector(image: Buffer): number {
  return image.readUInt32LE(PVD + 156 + 2);
}

interface Attack {
  readonly name: string;
  readonly change: (image: Buffer) => void;
  readonly code: ImageErrorCode;
  readonly message: RegExp;
}

const attacks: readonly Attack[] = [
  {
    name: 'a directory that contains itself',
    change: (image) => image.writeUInt32LE(rootSector(image), recordAt(image, rootSector(image), 'DIR') + 2),
    code: 'BAD_ISO',
    message: /\/dir and \/ are the same directory, so the tree loops/,
  },
  {
    name: 'a file beyond the end of the image',
    change: (image) => image.writeUInt32LE(0x00ffffff, recordAt(image, rootSector(image), 'BOOT.IMG;1') + 2),
    code: 'TRUNCATED',
    message: /\/boot\.img ends at byte \d+ of the image, which has only \d+/,
  },
  {
    name: 'a file larger than the image',
    change: (image) => image.writeUInt32LE(0xffffffff, recordAt(image, rootSector(image), 'BOOT.IMG;1') + 10),
    code: 'TRUNCATED',
    message: /\/boot\.img ends at byte/,
  },
  {
    name: 'a directory of 4 GiB',
    change: (image) => image.writeUInt32LE(0xfffff800, PVD + 156 + 10),
    code: 'TRUNCATED',
    message: /^Directory \/ ends at byte/,
  },
  {
    name: 'a file named ..',
    change: (image) => renameRockRidge(image, 'boot.img', '..'),
    code: 'UNSAFE_PATH',
    message: /an entry named "\.\."/,
  },
  {
    name: 'a file named with a slash',
    change: (image) => renameRockRidge(image, 'boot.img', '../../xy'),
    code: 'UNSAFE_PATH',
    message: /an entry named "\.\.\/\.\.\/xy"/,
  },
  {
    name: 'a record longer than its sector',
    change: (image) => image.writeUInt8(0xff, recordAt(image, rootSector(image), 'BOOT.IMG;1') + 32),
    code: 'BAD_ISO',
    message: /does not fit where it stands/,
  },
  {
    name: 'an endless chain of continuation areas',
    change(image) {
      const at = continuationAt(image);
      const area = image.readUInt32LE(at + 4) * SECTOR + image.readUInt32LE(at + 12);
      image.copy(image, area, at, at + 28);
      image.writeUInt32LE(28, area + 20);
      image.writeUInt32LE(28, at + 20);
    },
    code: 'BAD_ISO',
    message: /more than 64 continuation areas/,
  },
  {
    name: 'a continuation area of 2 GiB',
    change: (image) => image.writeUInt32LE(0x80000000, continuationAt(image) + 20),
    code: 'BAD_ISO',
    message: /a continuation area of 2147483648 bytes/,
  },
  {
    name: 'a boot catalog whose checksum is wrong',
    change: (image) => image.writeUInt8(0x42, image.readUInt32LE(17 * SECTOR + 71) * SECTOR + 5),
    code: 'BAD_CHECKSUM',
    message: /El Torito/,
  },
  {
    name: 'a boot catalog that is none',
    change: (image) => image.writeUInt32LE(16, 17 * SECTOR + 71),
    code: 'BAD_ISO',
    message: /no boot catalog/,
  },
  {
    name: 'blocks of 3 bytes',
    change: (image) => image.writeUInt16LE(3, PVD + 128),
    code: 'BAD_ISO',
    message: /blocks of 3 bytes/,
  },
  {
    name: 'an interleaved file',
    change: (image) => image.writeUInt8(1, recordAt(image, rootSector(image), 'BOOT.IMG;1') + 26),
    code: 'BAD_ISO',
    message: /interleaved/,
  },
  {
    name: 'a file whose next extent is missing',
    change: (image) => image.writeUInt8(0x80, recordAt(image, rootSector(image), 'BOOT.IMG;1') + 25),
    code: 'BAD_ISO',
    message: /further extents are missing/,
  },
];

/** The CE field of the file with the long name: the first one behind the record of another file. */
function continuationAt(image: Buffer): number {
  return image.indexOf('CE', recordAt(image, rootSector(image), 'BOOT.IMG;1'), 'latin1');
}

function renameRockRidge(image: Buffer, from: string, to: string): void {
  const at = image.indexOf(
    `NM${String.fromCharCode(5 + from.length)}\x01\0${from}`,
    rootSector(image) * SECTOR,
    'latin1',
  );
  image.write(to, at + 5, 'latin1');
  // What is left of the longer old name becomes a field of its own, which readers skip.
  if (to.length < from.length) {
    image.writeUInt8(5 + to.length, at + 2);
    image.write(`XX${String.fromCharCode(from.length - to.length)}\x01`, at + 5 + to.length, 'latin1');
  }
}

for (const { name, change, code, message } of attacks) {
  test(`hostile: ${name}`, async (t) => {
    const image = await smallImage(t, '-R');
    t.is(await survive(image), undefined);
    change(image);
    const error = await t.throwsAsync<ImageError>(openIso(bufferSource(image)));
    t.is(error?.code, code);
    t.regex(error?.message ?? '', message);
  });
}

test('the same name twice is refused', async (t) => {
  const image = await smallImage(t, '-R');
  renameRockRidge(image, 'boot.img', 'link');
  const error = await t.throwsAsync<ImageError>(openIso(bufferSource(image)));
  t.is(error?.code, 'BAD_ISO');
  t.regex(error?.message ?? '', /\/link is there twice/);
});

test('directories that overlap cost no more than the image is large', async (t) => {
  // One sector of directory records, each a directory of 64 sectors that starts one sector further on: read naively,
  // every level multiplies the work.
  const sectors = 4000;
  const image = Buffer.alloc(sectors * SECTOR);
  const descriptor = Buffer.alloc(SECTOR);
  descriptor.write('\x01CD001\x01', 0, 'latin1');
  descriptor.writeUInt16LE(SECTOR, 128);
  directoryRecord('\0', 20, 64 * SECTOR).copy(descriptor, 156);
  descriptor.copy(image, PVD);
  image.write('\xffCD001\x01', 17 * SECTOR, 'latin1');
  for (let sector = 20; sector < sectors - 200; sector++) {
    let at = sector * SECTOR;
    for (let child = 0; child < 40; child++) {
      const record = directoryRecord(`D${sector}X${child}`, sector + 1 + child, 64 * SECTOR);
      at += record.copy(image, at);
    }
  }
  directoryRecord('\0', 20, 64 * SECTOR).copy(image, 20 * SECTOR);
  let read = 0;
  const counting = {
    size: image.length,
    read: async (offset: number, length: number) => {
      read += length;
      return Promise.resolve(image.subarray(offset, offset + length));
    },
  };
  const error = await t.throwsAsync<ImageError>(openIso(counting));
  t.is(error?.code, 'BAD_ISO');
  t.true(read <= 3 * image.length, `${read} bytes read of ${image.length}`);
});

function directoryRecord(name: string, sector: number, size: number): Buffer {
  const record = Buffer.alloc((33 + name.length + 1) & ~1);
  record.writeUInt8(record.length, 0);
  record.writeUInt32LE(sector, 2);
  record.writeUInt32LE(size, 10);
  record.writeUInt8(2, 25);
  record.writeUInt8(name.length, 32);
  record.write(name, 33, 'latin1');
  return record;
}

test('more files than allowed are refused', async (t) => {
  const image = await smallImage(t, '-R');
  const { nodes } = await openIso(bufferSource(image));
  t.is((await openIso(bufferSource(image), { maxEntries: nodes.length })).nodes.length, nodes.length);
  await t.throwsAsync(openIso(bufferSource(image), { maxEntries: nodes.length - 1 }), { code: 'TOO_LARGE' });
});
