import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { Inbox } from '../../../src/pxe/dhcp/inbox.js';

const left = Promise.resolve();
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
};

test('what arrives while a group is answered is the next group, in order', async (t) => {
  const groups: number[][] = [];
  let finish = (): void => undefined;
  const inbox = new Inbox<number>((group) => {
    groups.push([...group]);
    return new Promise((resolve) => (finish = () => resolve({ left })));
  }, 10);
  for (const item of [1, 2, 3]) t.true(inbox.put(item));
  t.deepEqual(groups, [], 'more may come in this turn');
  while (groups.length < 1) await nextTurn();
  for (const item of [4, 5]) t.true(inbox.put(item));
  await turns();
  t.deepEqual(groups, [[1, 2, 3]], 'one group at a time');
  finish();
  while (groups.length < 2) await nextTurn();
  finish();
  t.deepEqual(groups, [
    [1, 2, 3],
    [4, 5],
  ]);
});

test('while the answers of a group wait for the disk, one more group is answered when it is large', async (t) => {
  const sizes: number[] = [];
  const leave: (() => void)[] = [];
  const inbox = new Inbox<number>(async (group) => {
    sizes.push(group.length);
    return { left: new Promise<void>((resolve) => leave.push(resolve)) };
  }, 1024);
  const put = async (count: number): Promise<void> => {
    for (let item = 0; item < count; item += 1) inbox.put(item);
    await turns();
  };
  await put(1);
  t.deepEqual(sizes, [1], 'nobody waits alone');
  await put(63);
  t.deepEqual(sizes, [1], 'few wait for the disk');
  await put(1);
  t.deepEqual(sizes, [1, 64], 'many do not');
  await put(200);
  t.deepEqual(sizes, [1, 64], 'but only one group at a time goes ahead');
  leave[0]?.();
  await turns();
  t.deepEqual(sizes, [1, 64, 200]);
  await put(2);
  leave[1]?.();
  await turns();
  t.deepEqual(sizes, [1, 64, 200]);
  leave[2]?.();
  await turns();
  t.deepEqual(sizes, [1, 64, 200, 2], 'few go when the disk is free');
});

test('it is bounded: 256 together, and so many waiting', async (t) => {
  const sizes: number[] = [];
  const inbox = new Inbox<number>(async (group) => {
    sizes.push(group.length);
    return { left };
  }, 1024);
  const taken = Array.from({ length: 1500 }, (_, item) => inbox.put(item));
  t.is(taken.filter(Boolean).length, 1024);
  while (sizes.length < 4) await nextTurn();
  t.deepEqual(sizes, [256, 256, 256, 256]);
  t.true(inbox.put(0), 'there is room again');
});
