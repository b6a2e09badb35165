import { randomBytes } from 'node:crypto';
import test from 'ava';
import { sendfile } from '../../../src/system/sendfile.js';
import { ask, digestOf, runSite } from './running-site.js';

// Before anything calls the C library: of another system it is not called. Each test file has a `process` of its own.
Object.defineProperty(process, 'platform', { value: 'other' });

test('where the C library cannot be called, the same bytes are served', async (t) => {
  t.is(sendfile(), undefined);
  const large = randomBytes(5_000_000);
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12', files: { large } });
  const path = `/images/d12@${id}/files/large`;
  for (const time of [1, 2]) t.is(digestOf((await ask(site, path)).body), digestOf(large), `time ${time}`);
  const part = await ask(site, path, { headers: { Range: 'bytes=100000-3999999' } });
  t.true(part.body.equals(large.subarray(100_000, 4_000_000)));
  const multipart = await ask(site, path, { headers: { Range: 'bytes=0-999999,2000000-4999999' } });
  t.true(multipart.body.includes(large.subarray(2_000_000)));
});
