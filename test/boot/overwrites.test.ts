import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openDescriptor } from '../../src/osimage/contents.js';
import { MemoryBlobs } from '../image/memory-blobs.js';
import { archiveBytes } from '../image/newc.js';
import { overwritingItems } from '../image/overwriting-items.js';
import { chmod, fileOf, put, read, remove, splice } from '../image/splicing.js';
import { rootItems } from '../osimage/edit/root-items.js';
import { censusInit, censusOf, censusOfArchive, type Census } from '../e2e/census.js';
import { BOOT_LIMIT_MS, debianFile, KERNEL, KERNEL_PACKAGE, runMachine } from '../e2e/plain-machine.js';

/** What a kernel makes of an initrd. */
async function unpackedBy(t: ExecutionContext, initrd: Buffer): Promise<Census> {
  await debianFile(KERNEL, KERNEL_PACKAGE);
  const work = await mkdtemp(join(tmpdir(), 'rackboot-overwrites-'));
  t.teardown(() => rm(work, { recursive: true }));
  await writeFile(join(work, 'initrd'), initrd);
  return censusOf(
    await runMachine(work, [
      ...['-machine', 'pc', '-m', '512', '-kernel', KERNEL, '-initrd', 'initrd'],
      ...['-append', 'console=ttyS0 panic=-1 quiet'],
    ]),
  );
}

const cases = (census: Census): Census =>
  Object.fromEntries(Object.entries(census).filter(([path]) => path.startsWith('/over')));

test('entries of one path: files, cat and edits see what the kernel makes of them', async (t) => {
  t.timeout(3 * BOOT_LIMIT_MS);
  const blobs = new MemoryBlobs();
  const base = await read(archiveBytes([...rootItems(), censusInit, ...overwritingItems]), blobs);
  const before = await openDescriptor(base, blobs);
  t.deepEqual(cases(await censusOfArchive(before)), cases(await unpackedBy(t, fileOf(base, blobs))));

  const edited = await splice(
    base,
    [
      put('/over/through/a', 'edited'),
      remove('/over/joined/c'),
      chmod('/over/emptied/a', 0o700),
      put('/over/itself/a', 'new'),
      remove('/over/full/pipe'),
      chmod('/over/device/same', 0o640),
      remove('/over/moved/b'),
      put('/over/full/file/new', 'beside'),
    ],
    blobs,
  );
  t.true(before.entries.length > overwritingItems.length / 2);
  const after = await openDescriptor(edited, blobs);
  const seen = cases(await censusOfArchive(after));
  t.deepEqual(seen, cases(await unpackedBy(t, fileOf(edited, blobs))));
  const expected = cases(await censusOfArchive(before));
  for (const path of ['/over/through/b', '/over/joined/a', '/over/joined/b', '/over/moved/a']) {
    const [, , , ...content] = (seen[path] ?? '').split(' ');
    t.deepEqual(content, (expected[path] ?? '').split(' ').slice(3), `${path} keeps its contents`);
  }
});
