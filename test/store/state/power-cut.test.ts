import { copyFileSync, mkdirSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import test from 'ava';
import { defaultConfig } from '../../../src/site/config.js';
import { siteAt } from '../../../src/site/site.js';
import { openStore } from '../../../src/store/store.js';

const NOW = 1000;
const ROUNDS = 12;
const TOGETHER = 5;
const macOf = (number: number): string => `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`;

interface Synced {
  datasync: (this: FileHandle) => Promise<void>;
}

// What a disk has after a power cut is at least what the files held when the last sync that ended began.
test.serial('a lease is in what a power cut leaves as soon as it counts as durable', async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'rackboot-cut-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const home = path.join(dir, 'site');
  mkdirSync(home);
  const store = await openStore(siteAt(home, defaultConfig()));
  t.teardown(() => store.close());

  let copies = 0;
  let left: string | undefined; // the copy that a power cut leaves
  const probe = await open(dir);
  const prototype = Object.getPrototypeOf(probe) as Synced;
  await probe.close();
  const original = prototype.datasync;
  t.teardown(() => (prototype.datasync = original));
  prototype.datasync = async function (this: FileHandle) {
    const copy = path.join(dir, `copy${(copies += 1)}`);
    mkdirSync(copy);
    for (const file of ['state.db', 'state.db-wal'])
      copyFileSync(path.join(home, file), path.join(copy, file));
    await original.call(this);
    left = copy;
  };

  const checkpoint = new SqliteDatabase(path.join(home, 'state.db'));
  t.teardown(() => checkpoint.close());
  const promised = new Set<string>();
  const take = async (number: number): Promise<void> => {
    const mac = macOf(number);
    const ranges = [{ first: '10.77.0.10', last: '10.77.0.250' }];
    const { value, durable } = await store.addresses.settleAhead([mac], NOW, async (book) => {
      const lease = await book.claim({ mac, node: `n${number}`, ranges, wanted: null, until: 2000 });
      if (lease !== undefined) book.bind(lease.address, mac, 5000);
      return lease?.address;
    });
    await durable;
    promised.add(`${mac} ${value ?? 'nothing'}`);
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    await Promise.all(Array.from({ length: TOGETHER }, (_, index) => take(round * TOGETHER + index)));
    if (left === undefined) return t.fail('nothing was synced');
    const found = await leasesIn(left);
    t.deepEqual(
      [...promised].filter((lease) => !found.has(lease)),
      [],
    );
    // The log begins anew now and then.
    if (round % 3 === 2) checkpoint.pragma('wal_checkpoint(RESTART)');
  }
  t.is(promised.size, ROUNDS * TOGETHER);
});

async function leasesIn(home: string): Promise<ReadonlySet<string>> {
  const store = await openStore(siteAt(home, defaultConfig()));
  try {
    const leases = await store.addresses.ofNodes(NOW);
    return new Set(leases.map(({ mac, address }) => `${mac} ${address}`));
  } finally {
    await store.close();
  }
}
