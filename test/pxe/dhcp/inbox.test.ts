import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { Inbox } from '../../../src/pxe/dhcp/inbox.js';

test('what arrives while a group is answered is the next group, in order', async (t) => {
  const groups: number[][] = [];
  let finish = (): void => undefined;
  const inbox = new Inbox<number>((group) => {
    groups.push([...group]);
    return new Promise((resolve) => (finish = resolve));
  }, 10);
  for (const item of [1, 2, 3]) t.true(inbox.put(item));
  t.deepEqual(groups, [], 'more may come in this turn');
  while (groups.length < 1) await nextTurn();
  for (const item of [4, 5]) t.true(inbox.put(item));
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  t.deepEqual(groups, [[1, 2, 3]], 'one group at a time');
  finish();
  while (groups.length < 2) await nextTurn();
  finish();
  t.deepEqual(groups, [
    [1, 2, 3],
    [4, 5],
  ]);
});

test('it is bounded: 256 together, and so many waiting', async (t) => {
  const sizes: number[] = [];
  const inbox = new Inbox<number>(async (group) => void sizes.push(group.length), 1024);
  const taken = Array.from({ length: 1500 }, (_, item) => inbox.put(item));
  t.is(taken.filter(Boolean).length, 1024);
  while (sizes.length < 4) await nextTurn();
  t.deepEqual(sizes, [256, 256, 256, 256]);
  t.true(inbox.put(0), 'there is room again');
});
