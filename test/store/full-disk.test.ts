import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { sha256 } from '../../src/store/digest.js';
import { temporaryDirectory } from './temporary-site.js';

const run = promisify(execFile);

test('a full disk and a read-only one are one clear line each, and lose nothing', async (t) => {
  const dir = await temporaryDirectory(t);
  const script = fileURLToPath(new URL('children/fill-disk.js', import.meta.url));
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const { stdout } = await run('unshare', ['--mount', ...rights, process.execPath, script, dir]);
  const seen = JSON.parse(stdout) as Record<string, unknown>;
  const full = {
    code: 'DISK_FULL',
    message: 'DIR/store: no space left; free some on that disk, or run: rackboot gc',
  };
  t.deepEqual(seen, {
    stream: full,
    put: full,
    swallowed: full,
    temporary: [],
    packs: 1,
    gc: { generations: 0, blobs: 0, files: 0, bytes: 0, held: [] },
    problems: [],
    current: sha256('a'),
    again: 1,
    readOnly: {
      code: 'READ_ONLY',
      message: 'DIR is read-only: make it writable for this user, or use a copy of the site.',
    },
  });
});
