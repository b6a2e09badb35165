import { createHash } from 'node:crypto';
import { constants, crc32, deflateRawSync, gunzipSync, gzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { encodeEnd, GZIP_MAGIC } from '../../src/image/gzip/member.js';
import { codeOf } from '../../src/errors.js';
import { gzipPieces, KnownPieces, piecesOf } from '../../src/repo/gzip-pieces.js';
import { readListing, writeMerged, type Listing } from '../../src/repo/merge.js';
import type { MetadataSink } from '../../src/repo/metadata.js';
import { formatRepomd, REPOMD, type MetadataFile } from '../../src/repo/repomd.js';
import { asDigest, type Digest } from '../../src/store/digest.js';
import { filterBytes } from '../../src/image/filter.js';

const MOST = 64 << 20; // bytes

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

const digestOf = (bytes: Buffer | string): Digest =>
  asDigest(createHash('sha256').update(bytes).digest('hex')) as Digest;

const gzipped = (chunks: readonly Buffer[]): Promise<Buffer> =>
  collect(gzipPieces(each(chunks), new KnownPieces()));

/** A package of a list: its number makes its place and its id, the version its text. */
interface Sample {
  readonly number: number;
  readonly version: number;
  readonly length: number; // bytes of its text, about
}

/** Some lie in a directory; a list has packages in the order of their files’ names all the same. */
const hrefOf = ({ number }: Sample): string =>
  `${number % 3 === 0 ? 'sub/' : ''}p${String(number).padStart(5, '0')}.rpm`;

function fragmentsOf(sample: Sample): Record<string, string> {
  const { number, version, length } = sample;
  const id = digestOf(`${number} ${version}`);
  const tag = `<package pkgid="${id}" name="p${number}" arch="noarch">`;
  // Of a kind that compresses as lists do, and is another in each package.
  const words = Array.from(
    { length: length / 70 },
    (_, at) => `<file>/opt/${digestOf(`${id} ${at}`)}</file>\n`,
  );
  const href = hrefOf(sample);
  return {
    primary: `<package type="rpm"><name>p${number}</name><checksum type="sha256" pkgid="YES">${id}</checksum><size package="1"/><location href="${href}"/>${words.slice(0, words.length / 2).join('')}</package>`,
    filelists: `${tag}${words.join('')}</package>`,
    other:
      words.length % 3 === 0
        ? `${tag.slice(0, -1)}/>`
        : `${tag}<changelog>${words.length}</changelog></package>`,
  };
}

/** A repository in memory, of packages or of files. */
function inMemory(files: ReadonlyMap<string, Buffer>): {
  where: string;
  read: (href: string) => Promise<AsyncIterable<Buffer> | undefined>;
} {
  return {
    where: 'memory',
    read: (href) => {
      const bytes = files.get(href);
      return Promise.resolve(bytes === undefined ? undefined : each([bytes]));
    },
  };
}

/** What another program writes of packages. */
function foreign(samples: readonly Sample[]): ReturnType<typeof inMemory> {
  const files = new Map<string, Buffer>();
  const listed = ['primary', 'filelists', 'other'].map((type): MetadataFile => {
    const body = samples.map((sample) => `${fragmentsOf(sample)[type] ?? ''}\n`).join('');
    const bytes = gzipSync(`<list packages="${samples.length}">\n${body}</list>\n`);
    const href = `repodata/${type}.xml.gz`;
    files.set(href, bytes);
    return { type, href, checksum: { type: 'sha256', value: digestOf(bytes) }, size: bytes.length };
  });
  files.set(REPOMD, Buffer.from(formatRepomd({ files: listed })));
  return inMemory(files);
}

/** The files of the repository that `old`, as far as `keeps` says, and `fresh` make. */
async function merged(
  old: Listing | undefined,
  keeps: (href: string) => boolean,
  fresh: readonly Sample[],
): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const sink: MetadataSink = async (compressed) => {
    const bytes = await collect(compressed);
    const digest = digestOf(bytes);
    files.set(digest, bytes);
    return { digest, size: bytes.length };
  };
  const listing = fresh.length === 0 ? undefined : await readListing(foreign(fresh));
  const written = await writeMerged(
    { old, keeps: ({ href }) => keeps(href), fresh: listing, timestamp: 1 },
    sink,
  );
  const named = written.map(
    ({ href, checksum }) => [href, files.get(checksum.value) ?? Buffer.alloc(0)] as const,
  );
  return new Map([...named, [REPOMD, Buffer.from(formatRepomd({ files: written }))]]);
}

const samples = fc.uniqueArray(
  fc.record({
    number: fc.nat(400),
    version: fc.constant(1),
    length: fc.integer({ min: 100, max: 16_000 }),
  }),
  { selector: ({ number }) => number, minLength: 1, maxLength: 150, size: 'max' },
);
const sorted = (list: readonly Sample[]): Sample[] => [...list].sort((a, b) => a.number - b.number);

test('a list that is made of another one’s pieces is the list from nothing, byte for byte', async (t) => {
  let most = 0;
  await fc.assert(
    fc.asyncProperty(
      samples,
      fc.array(fc.nat(399), { maxLength: 5 }),
      fc.boolean(),
      async (before, changes, keeping) => {
        const changed = new Set(
          changes.map((change) =>
            change % 7 === 0 ? (before[change % before.length]?.number ?? 0) : change,
          ),
        );
        const old = await merged(undefined, () => false, sorted(before));
        const stays = before.filter(({ number }) => !changed.has(number));
        const fresh = [...changed]
          .filter((number) => number % 3 > 0)
          .map((number) => ({ number, version: 2, length: 500 }));
        const listing = await readListing(inMemory(old), keeping ? ['primary', 'filelists', 'other'] : []);
        const kept = new Set(stays.map(hrefOf));
        const incremental = await merged(listing, (href) => kept.has(href), sorted(fresh));
        const scratch = await merged(undefined, () => false, sorted([...stays, ...fresh]));
        t.deepEqual([...incremental.keys()], [...scratch.keys()]);
        for (const [href, bytes] of scratch) {
          t.true(incremental.get(href)?.equals(bytes));
          if (!href.endsWith('.gz')) continue;
          const type = /-(\w+)\.xml/.exec(href)?.[1] ?? '';
          const text = gunzipSync(bytes).toString();
          const bodies = sorted([...stays, ...fresh]).map((sample) => `${fragmentsOf(sample)[type] ?? ''}\n`);
          t.true(text.includes(`packages="${bodies.length}">\n${bodies.join('')}</`));
          most = Math.max(most, (await piecesOf(bytes, MOST))?.length ?? 0);
        }
      },
    ),
    { numRuns: 15 },
  );
  t.true(most > 5, 'there are lists of more than a piece');
});

test('one package more leaves all pieces but the first and the one that it is in', async (t) => {
  const many = Array.from({ length: 200 }, (_, number) => ({
    number: number * 2,
    version: 1,
    length: 10_000,
  }));
  const old = await merged(undefined, () => false, many);
  const added = await merged(await readListing(inMemory(old)), () => true, [
    { number: 201, version: 1, length: 10_000 },
  ]);
  for (const type of ['primary', 'filelists']) {
    const stored = await Promise.all(
      [old, added].map(async (files) => {
        const [, bytes = Buffer.alloc(0)] = [...files].find(([href]) => href.includes(type)) ?? [];
        const pieces = (await piecesOf(bytes, MOST)) ?? [];
        return pieces.map(({ packed }) => packed?.stored.toString('base64') ?? '');
      }),
    );
    const [before = [], after = []] = stored;
    t.true(before.length > 5);
    t.true(after.filter((piece) => !before.includes(piece)).length <= 3, type);
  }
});

test('old lists that are damaged make no new ones', async (t) => {
  const many = Array.from({ length: 60 }, (_, number) => ({ number, version: 1, length: 10_000 }));
  const old = await merged(undefined, () => false, many);
  const lists = [...old.keys()].filter((href) => href.endsWith('.gz'));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...lists),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (href, where, mask) => {
        const bytes = Buffer.from(old.get(href) ?? Buffer.alloc(0));
        const at = where % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        const files = inMemory(new Map([...old, [href, bytes]]));
        const building = async (): Promise<unknown> =>
          merged(await readListing(files, ['filelists', 'other']), () => true, []);
        const error = await t.throwsAsync(building);
        t.is(codeOf(error), 'BAD_METADATA');
      },
    ),
    { numRuns: 40 },
  );
});

test('a stream gives its own bytes in pieces or none, whatever lies in it', async (t) => {
  const marker = Buffer.from([0, 0, 0xff, 0xff]);
  const chunk = fc
    .array(
      fc.oneof(
        fc.constant(marker),
        fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map((parts) => Buffer.concat(parts));
  await fc.assert(
    fc.asyncProperty(
      fc.array(chunk, { maxLength: 6 }),
      fc.nat(),
      fc.nat(255),
      async (chunks, where, mask) => {
        const plain = Buffer.concat(chunks);
        const stream = await gzipped(chunks);
        t.deepEqual(gunzipSync(stream), plain);
        const pieces = await piecesOf(stream, MOST);
        if (pieces !== undefined) t.deepEqual(Buffer.concat(pieces.map((piece) => piece.plain)), plain);
        const damaged = Buffer.from(stream);
        const at = where % damaged.length;
        damaged[at] = (damaged[at] ?? 0) ^ mask;
        const taken = await piecesOf(damaged, MOST);
        if (taken !== undefined) t.deepEqual(Buffer.concat(taken.map((piece) => piece.plain)), plain);
      },
    ),
    { numRuns: 150 },
  );
});

test('what others compressed, and what is too large, has no pieces', async (t) => {
  const plain = Buffer.alloc(300_000, 'a list');
  t.is(await piecesOf(gzipSync(plain), MOST), undefined);
  t.is(await piecesOf(Buffer.alloc(0), MOST), undefined);
  t.is(await piecesOf(Buffer.concat([GZIP_MAGIC, Buffer.alloc(40)]), MOST), undefined);
  const ours = await gzipped([plain, plain]);
  t.is((await piecesOf(ours, MOST))?.length, 2);
  t.is(await piecesOf(ours, plain.length * 2 - 1), undefined);
});

const FLUSHED = Buffer.from([0, 0, 0xff, 0xff]);
const HEADER_BYTES = 10;

/** A stream of `parts` as they are, with the end that `plain` would have. */
async function streamOf(parts: readonly Buffer[], plain: Buffer): Promise<Buffer> {
  const header = (await gzipped([])).subarray(0, HEADER_BYTES);
  return Buffer.concat([header, ...parts, encodeEnd(crc32(plain), plain.length)]);
}

const flushed = (plain: Buffer): Buffer => deflateRawSync(plain, { finishFlush: constants.Z_FULL_FLUSH });

test('a stream of parts made for harm has no pieces, and costs little', async (t) => {
  t.timeout(60_000);
  const spaces = flushed(Buffer.alloc(100 << 20, ' '));
  const bomb = await streamOf(
    Array.from({ length: 30 }, () => spaces),
    Buffer.alloc(0),
  );
  t.is(await piecesOf(bomb, 256 << 20), undefined);
  const empty = Buffer.concat([Buffer.of(0), FLUSHED]);
  const many = await streamOf(
    Array.from({ length: 800_000 }, () => empty),
    Buffer.alloc(0),
  );
  t.is(await piecesOf(many, 256 << 20), undefined);
  t.is((await piecesOf(await streamOf([empty, empty], Buffer.alloc(0)), MOST))?.length, 2);
});

test('a part that ends the stream, or before its own end, is no piece', async (t) => {
  const [one, two] = [Buffer.from('one '.repeat(1000)), Buffer.from('two '.repeat(1000))];
  const both = Buffer.concat([one, two]);
  t.is((await piecesOf(await streamOf([flushed(one), flushed(two)], both), MOST))?.length, 2);
  const final = Buffer.concat([flushed(one), Buffer.of(1), FLUSHED]);
  t.is(await piecesOf(await streamOf([final, flushed(two)], both), MOST), undefined);
  const early = Buffer.concat([deflateRawSync(one), Buffer.from('junk'), Buffer.of(0), FLUSHED]);
  t.is(await piecesOf(await streamOf([early, flushed(two)], both), MOST), undefined);
});

test('gzip reads what is made of pieces', async (t) => {
  const chunks = ['one', 'two'.repeat(100_000), 'three'].map((text) => Buffer.from(text));
  const read = await filterBytes({ program: 'gzip', args: ['-dc'], package: 'gzip' }, await gzipped(chunks));
  t.deepEqual(read, Buffer.concat(chunks));
});
