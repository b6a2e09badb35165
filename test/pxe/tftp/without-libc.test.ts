import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { datagramCalls } from '../../../src/system/datagrams.js';
import { REAL_CLIENTS, fetchWith } from './clients.js';
import { MemoryFiles, bytesOf, serve } from './serving.js';

// Before anything calls the C library: of another system it is not called. Each test file has a `process` of its own.
Object.defineProperty(process, 'platform', { value: 'other' });

const FILE = bytesOf(300_001);

for (const client of REAL_CLIENTS) {
  test(`where the C library cannot be called, ${client.name} is served as well`, async (t) => {
    t.is(datagramCalls(), undefined);
    const dir = await mkdtemp(join(tmpdir(), 'rackboot-tftp-'));
    const serving = await serve(new MemoryFiles({ file: FILE }));
    try {
      t.true((await fetchWith(client, serving.server.port, 'file', join(dir, 'out'))).equals(FILE));
      t.like(await serving.ended(), { outcome: 'complete', bytes: FILE.length });
    } finally {
      await serving.server.close();
      await rm(dir, { recursive: true });
    }
  });
}
