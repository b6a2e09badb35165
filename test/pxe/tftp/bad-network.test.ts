import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Habits, openBadNetwork } from './bad-network.js';
import { REAL_CLIENTS, fetchWith } from './clients.js';
import { MemoryFiles, bytesOf, serve } from './serving.js';

const FILE = bytesOf(1_000_000);

const networks: readonly [name: string, habits: Habits][] = [
  ['doubles one packet in ten', { seed: 1, loss: 0, duplication: 0.1, reordering: 0 }],
  ['reorders one packet in ten', { seed: 2, loss: 0, duplication: 0, reordering: 0.1 }],
  ['loses one packet in a hundred', { seed: 3, loss: 0.01, duplication: 0, reordering: 0 }],
  ['does all of it', { seed: 4, loss: 0.003, duplication: 0.05, reordering: 0.05 }],
];

/** Clients that wait for a lost block themselves for a second or more, so that it is the server that must mend it. */
const CLIENTS = [
  'tftp-hpa',
  'atftp blksize 1468',
  'atftp blksize 1468 windowsize 16',
  'curl --tftp-blksize 1468',
  'busybox tftp -b 1468',
];

for (const [name, habits] of networks) {
  for (const client of REAL_CLIENTS.filter((one) => CLIENTS.includes(one.name))) {
    test.serial(`${client.name}: a network that ${name} changes no byte`, async (t) => {
      const dir = await mkdtemp(join(tmpdir(), 'rackboot-tftp-'));
      const serving = await serve(new MemoryFiles({ file: FILE }));
      const network = await openBadNetwork(serving.server.port, habits);
      try {
        t.true((await fetchWith(client, network.port, 'file', join(dir, 'out'))).equals(FILE));
      } finally {
        await network.close();
        await serving.server.close();
        await rm(dir, { recursive: true });
      }
    });
  }
}
