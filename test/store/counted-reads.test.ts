import { mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { countsReads } from '../../src/store/counted-reads.js';

const types: readonly [name: string, type: number, isCounted: boolean][] = [
  ['ext4', 0xef53, true],
  ['XFS', 0x58465342, true],
  ['btrfs', 0x9123683e, true],
  ['tmpfs', 0x01021994, true],
  ['overlay', 0x794c7630, true],
  ['FUSE', 0x65735546, false],
  ['ZFS', 0x2fc12fc1, false],
  ['NFS', 0x6969, false],
  ['9p', 0x01021997, false],
  ['one that is not known', 0x1234567, false],
];
for (const [name, type, isCounted] of types) {
  test(`reads of ${name} are ${isCounted ? '' : 'not '}taken to be counted`, async (t) => {
    t.is(await countsReads(0, () => Promise.resolve(type)), isCounted);
  });
}

test('where a file lies cannot be told: its reads are not counted', async (t) => {
  t.false(await countsReads(0, () => Promise.reject(new Error('ENOSYS'))));
});

for (const place of [tmpdir(), '/dev/shm', '/proc']) {
  test(`the file system of an open file in ${place} is asked for, also without a name`, async (t) => {
    const dir = place === '/proc' ? undefined : await mkdtemp(join(place, 'rackboot-counted-'));
    const file = await open(dir === undefined ? '/proc/self/status' : join(dir, 'file'), dir ? 'w' : 'r');
    t.teardown(() => file.close());
    if (dir !== undefined) await rm(dir, { recursive: true });
    const asked: string[] = [];
    const isCounted = await countsReads(file.fd, async (path) => {
      asked.push(path);
      const { type } = await statfs(path);
      t.is(type, (await statfs(place)).type);
      return type;
    });
    t.deepEqual(asked, [`/proc/self/fd/${file.fd}`]);
    t.is(await countsReads(file.fd), isCounted);
    if (place === '/dev/shm') t.true(isCounted);
    if (place === '/proc') t.false(isCounted);
  });
}
