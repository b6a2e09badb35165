import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadApiToken } from '../../src/site/api-token.js';

async function directory(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-token-'));
  t.teardown(() => rm(dir, { recursive: true }));
  return dir;
}

test('it is made once, for its owner alone, by however many servers at a time', async (t) => {
  const dir = await directory(t);
  const tokens = await Promise.all(Array.from({ length: 8 }, () => loadApiToken(dir)));
  t.is(new Set(tokens).size, 1);
  t.regex(tokens[0] ?? '', /^[A-Za-z0-9_-]{43}$/);
  const file = join(dir, 'api.token');
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.is(await readFile(file, 'utf8'), `${tokens[0] ?? ''}\n`);
});

test('an operator’s own is taken; one that others may read, or that is none, is refused', async (t) => {
  const dir = await directory(t);
  const file = join(dir, 'api.token');
  await writeFile(file, `${'a1'.repeat(20)}\r\n`, { mode: 0o600 });
  t.is(await loadApiToken(dir), 'a1'.repeat(20));
  await chmod(file, 0o640);
  await t.throwsAsync(loadApiToken(dir), {
    code: 'BAD_TOKEN',
    message: `${file}: others may read it; make it yours alone: chmod 600 ${file}`,
  });
  await chmod(file, 0o600);
  for (const text of ['', 'short', `${'a'.repeat(40)} b`]) {
    await writeFile(file, text);
    const error = await t.throwsAsync(loadApiToken(dir), { code: 'BAD_TOKEN' });
    t.regex(error.message, /holds no token of 32 to 512 letters and digits; .*delete it to get a new one$/);
  }
});
