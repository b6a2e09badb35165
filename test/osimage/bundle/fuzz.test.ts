import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { RackbootError } from '../../../src/errors.js';
import { DEFAULT_LIMITS } from '../../../src/image/unpack-limits.js';
import { isBundle } from '../../../src/osimage/bundle/detect.js';
import { parseStatement } from '../../../src/osimage/bundle/statement.js';
import { unpackBundle } from '../../../src/osimage/bundle/unpack.js';
import { gzippedTar, literal } from '../../../src/osimage/export/tar-members.js';
import { inChunks } from '../../image/memory-blobs.js';
import { collect } from '../../../src/image/chunks.js';
import { parseXcatManifest } from '../../../src/osimage/xcat/bundle/manifest.js';
import { bundleFiles, manifestXml, writeBundle } from './xcat-bundle.js';

let work = '';
test.before(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'rackboot-bundle-fuzz-'));
});
test.after.always(() => rm(work, { recursive: true, force: true }));

/** Bytes with some of them changed, and the end cut off. */
const damage = fc.record({
  flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 6 }),
  cut: fc.option(fc.nat(), { nil: undefined, freq: 4 }),
});

function damaged(
  bytes: Buffer,
  { flips, cut }: { flips: [number, number][]; cut: number | undefined },
): Buffer {
  const copy = Buffer.from(bytes);
  for (const [at, by] of flips) copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ by;
  return cut === undefined ? copy : copy.subarray(0, cut % copy.length);
}

test('whatever a tar archive holds, it is unpacked inside its directory or refused in one line', async (t) => {
  const file = await writeBundle(path.join(work, 'b.tar'), await bundleFiles(work), { options: [] });
  const whole = await readFile(file);
  let [unpacked, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(damage, fc.integer({ min: 1, max: 4000 }), async (how, chunk) => {
      const into = await mkdtemp(path.join(work, 'into-'));
      const bytes = damaged(whole, how);
      await isBundle(inChunks(bytes, [chunk]));
      try {
        const { files } = await unpackBundle(inChunks(bytes, [chunk]), into, 'b.tar', DEFAULT_LIMITS);
        t.deepEqual((await readdir(into)).sort(), files.map((_, at) => String(at)).sort());
        for (const file of files) {
          const { path: name, size } = file;
          t.notRegex(name, /(^|\/)\.{1,2}(\/|$)|^\//);
          t.is((await collect(file.read())).length, size);
        }
        unpacked++;
      } catch (error) {
        if (!(error instanceof RackbootError)) throw error;
        t.regex(error.message, /^b\.tar: [^\n]+$/);
        refused++;
      } finally {
        await rm(into, { recursive: true });
      }
    }),
    { numRuns: 150, seed: 1 },
  );
  t.true(unpacked > 10 && refused > 10, `${unpacked} unpacked, ${refused} refused`);
});

test('files of any names and sizes come out of what is written, as they went in', async (t) => {
  const name = fc
    .array(
      fc.string({ unit: fc.constantFrom('a', 'b', 'é', ' ', '.', '-', '0'), minLength: 1, maxLength: 60 }),
      {
        minLength: 1,
        maxLength: 6,
      },
    )
    .map((parts) => parts.map((part) => part.replace(/^\.{1,2}$/, 'dots')).join('/'));
  const members = fc.uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 3000 })), {
    selector: ([at]) => at,
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(members, async (wanted) => {
      const into = await mkdtemp(path.join(work, 'into-'));
      const stream = gzippedTar(
        wanted.map(([at, bytes]) => literal(at, Buffer.from(bytes))),
        1,
      );
      const { files } = await unpackBundle(stream, into, 'b', DEFAULT_LIMITS);
      const found = await Promise.all(
        files.map(async (file) => [file.path, (await collect(file.read())).toString('hex')] as const),
      );
      const sorted = wanted.map(([at, bytes]) => [at, Buffer.from(bytes).toString('hex')] as const);
      t.deepEqual(Object.fromEntries(found), Object.fromEntries(sorted));
      await rm(into, { recursive: true });
    }),
    { numRuns: 60, seed: 1 },
  );
});

const STATEMENT = JSON.stringify({
  rackboot: 1,
  osimage: 'x',
  family: 'generic',
  files: [{ path: 'linux', size: 1, sha256: 'a'.repeat(64) }],
  archive: { path: 'linux', cuts: [[[1, 2]]] },
  tree: [],
  boot: [{ kind: 'linux', label: 'a', title: 't', kernel: 'linux', args: '', initrds: [] }],
  settings: {},
  engine: 'e',
});

test('damaged statements and manifests are read or refused, never anything else', (t) => {
  t.is(parseStatement(STATEMENT, 'm').osimage, 'x');
  for (const [text, parse] of [
    [STATEMENT, parseStatement],
    [manifestXml(), parseXcatManifest],
  ] as const) {
    fc.assert(
      fc.property(damage, (how) => {
        try {
          parse(damaged(Buffer.from(text), how).toString('utf8'), 'm');
        } catch (error) {
          if (!(error instanceof RackbootError)) throw error;
          t.regex(error.message, /^m[:.][^\n]+$/);
        }
      }),
      { numRuns: 400, seed: 1 },
    );
  }
});
