import zlib from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { loadEntries } from '../../src/image/archive-index.js';
import { archiveMap, type ArchiveDescriptor } from '../../src/image/archive.js';
import { pathToText } from '../../src/image/cpio/path.js';
import { ImageError, type ImageErrorCode } from '../../src/image/errors.js';
import { DIR, EDIT_TIME, LINK } from './archive-models.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, itemBytes, parseArchive, type Item } from './newc.js';
import { rewriteArchive } from './reference-editor.js';
import { chmod, fileOf, plainOf, put, read, remove, splice } from './splicing.js';

const file = (name: string, data: string, ino: number): Item => item({ name, ino, data: Buffer.from(data) });
const ITEMS: readonly Item[] = [
  item({ name: 'd', mode: DIR | 0o755, nlink: 2, ino: 1 }),
  file('d/first', 'some bytes', 2),
  item({ name: 'd/link', mode: LINK | 0o777, ino: 3, data: Buffer.from('first') }),
  item({ name: 'hard1', nlink: 2, ino: 4 }),
  item({ name: 'hard2', nlink: 2, ino: 4, data: Buffer.from('shared by both') }),
  item({ name: 'null', mode: 0o020666, rdev: [1, 3], ino: 5 }),
  file('last', 'x'.repeat(300), 6),
];

/** The refusal that reading `bytes` meets, or what was read. */
async function attempt(bytes: Buffer): Promise<ImageError | { base: ArchiveDescriptor; blobs: MemoryBlobs }> {
  const blobs = new MemoryBlobs();
  try {
    return { base: await read(bytes, blobs), blobs };
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
}

async function refused(t: ExecutionContext, bytes: Buffer, why: string): Promise<ImageError> {
  const got = await attempt(bytes);
  if (got instanceof ImageError) return got;
  t.fail(`${why}: was read`);
  throw new Error(why);
}

test('cut before, inside and after every header, name, datum and padding: what is missing is named', async (t) => {
  const plain = archiveBytes(ITEMS, 4);
  let start = 0;
  for (const one of ITEMS) {
    const nameStart = start + 110;
    const dataStart = start + itemBytes({ ...one, data: Buffer.alloc(0) }).length;
    const end = start + itemBytes(one).length;
    const inHeader = [start, start + 6, nameStart - 1, nameStart, nameStart + one.name.length, dataStart - 1];
    const inData = [dataStart, dataStart + 1, dataStart + one.data.length - 1, end - 1];
    const cuts: [number, RegExp][] = [
      ...inHeader.map((cut): [number, RegExp] => [cut, /before its trailer/]),
      ...inData
        .filter((cut) => cut >= dataStart && cut < end)
        .map((cut): [number, RegExp] => [cut, new RegExp(`inside /${one.name}, ${end - cut} bytes short`)]),
    ];
    for (const [cut, pattern] of cuts) {
      if (cut === 0) continue;
      for (const bytes of [plain.subarray(0, cut), zlib.gzipSync(plain.subarray(0, cut))]) {
        const error = await refused(t, bytes, `cut at ${cut}`);
        t.is(error.code, 'TRUNCATED');
        t.regex(error.message, pattern);
        t.regex(error.message, new RegExp(`ends at offset ${cut} `));
      }
    }
    start = end;
  }
});

const FIELDS = { ino: 0, mode: 1, nlink: 4, size: 6, nameSize: 11, check: 12 } as const;

/** ITEMS with one field of one header replaced. */
function withField(at: number, field: keyof typeof FIELDS, value: number): Buffer {
  const plain = archiveBytes(ITEMS, 4);
  const start = ITEMS.slice(0, at).reduce((sum, one) => sum + itemBytes(one).length, 0);
  plain.write(value.toString(16).padStart(8, '0'), start + 6 + FIELDS[field] * 8, 'latin1');
  return plain;
}

const lies: readonly (readonly [string, Buffer, ImageErrorCode, RegExp])[] = [
  ['a size of 4 GiB', withField(1, 'size', 0xffff_ffff), 'TRUNCATED', /inside \/d\/first, \d+ bytes short/],
  [
    'a size that ends in the next header',
    withField(1, 'size', 16),
    'BAD_MAGIC',
    /no newc cpio header at offset 24\d/,
  ],
  ['a size that ends before the data does', withField(6, 'size', 200), 'BAD_MAGIC', /found "xxxxxx"/],
  ['a size that takes in all that follows', withField(1, 'size', 5000), 'TRUNCATED', /inside \/d\/first/],
  ['a directory with data', withField(0, 'size', 64), 'BAD_MAGIC', /no newc cpio header at offset/],
  ['a device with data', withField(5, 'size', 0x7fff_ffff), 'TRUNCATED', /inside \/null/],
  [
    'a link with a target of 4 GiB',
    withField(2, 'size', 0xffff_fff0),
    'NAME_TOO_LONG',
    /^\/d\/link at offset \d+: a symbolic link to a path of 4294967280 bytes/,
  ],
  ['a name of no bytes', withField(1, 'nameSize', 0), 'BAD_HEADER', /at offset \d+: a name of 0 bytes/],
  ['a name of 4 GiB', withField(1, 'nameSize', 0xffff_ffff), 'BAD_HEADER', /a name of 4294967295 bytes/],
  [
    'a name one byte too short',
    withField(1, 'nameSize', 7),
    'BAD_HEADER',
    /offset \d+: its name does not end/,
  ],
  ['a name that holds a NUL', withField(1, 'nameSize', 9), 'BAD_HEADER', /offset \d+: its name/],
  [
    'a name that takes in the data',
    withField(6, 'nameSize', 100),
    'BAD_HEADER',
    /its name does not end in NUL/,
  ],
];

for (const [title, plain, code, pattern] of lies) {
  test(`refuses ${title}`, async (t) => {
    for (const bytes of [plain, zlib.gzipSync(plain)]) {
      const error = await refused(t, bytes, title);
      t.is(error.code, code);
      t.regex(error.message, pattern);
    }
  });
}

const PATH = 'n'.repeat(4095);
const linkTo = (target: string): Item =>
  item({ name: 'link', mode: LINK | 0o777, ino: 80, data: Buffer.from(target) });

const NOWHERE: readonly (readonly [string, Item, ImageErrorCode, RegExp])[] = [
  [
    'a name that climbs',
    file('../../etc/passwd', '', 1),
    'UNSAFE_PATH',
    /^\/..\/..\/etc\/passwd at offset 112: /,
  ],
  [
    'a name that climbs on its way',
    file('a/../../b', '', 1),
    'UNSAFE_PATH',
    /^\/a\/..\/..\/b at offset 112: /,
  ],
  ['an absolute name that climbs', file('/../b', '', 1), 'UNSAFE_PATH', /^\/..\/b at offset 112: /],
  ['a directory above', item({ name: '..', mode: DIR }), 'UNSAFE_PATH', /^\/.. at offset 112: /],
  ['an empty name', file('', 'x', 1), 'BAD_HEADER', /^\/ at offset 112: an entry for the root/],
  ['a file for a root', file('/', '', 1), 'BAD_HEADER', /^\/ at offset 112: an entry for the root/],
  [
    'a name of 4096 bytes',
    file(`${PATH}n`, '', 1),
    'NAME_TOO_LONG',
    /^\/n{60}… at offset 112: a name of 4096/,
  ],
  ['a name of 8000 bytes', file('n'.repeat(8000), '', 1), 'NAME_TOO_LONG', /a name of 8000 bytes/],
  ['a target of 4096 bytes', linkTo(`${PATH}n`), 'NAME_TOO_LONG', /^\/link at offset 112: .* of 4096 bytes/],
];

for (const [title, one, code, pattern] of NOWHERE) {
  test(`refuses ${title}, which nothing can unpack`, async (t) => {
    const plain = archiveBytes([item({ name: 'd', mode: DIR | 0o755, nlink: 2 }), one]);
    for (const bytes of [plain, zlib.gzipSync(plain)]) {
      const error = await refused(t, bytes, title);
      t.is(error.code, code);
      t.regex(error.message, pattern);
    }
  });
}

test('a target ends at its first NUL, as to the kernel, and its bytes stay', async (t) => {
  const plain = archiveBytes([linkTo('here\0and no further')]);
  const blobs = new MemoryBlobs();
  const base = await read(plain, blobs);
  t.is((await loadEntries(base, blobs))[0]?.target, 'here');
  t.true(fileOf(base, blobs).equals(plain));
});

const strange: readonly (readonly [string, readonly Item[]])[] = [
  ['absolute names', [file('/etc/passwd', 'evil', 1), file('//etc//shadow', 'evil', 2)]],
  ['names that stand twice', [file('a', 'one', 1), file('a', 'two', 2), file('./a', 'three', 3)]],
  [
    'a directory that is a file too',
    [item({ name: 'a', mode: DIR | 0o755 }), file('a', 'file', 2), file('a/b', '', 3)],
  ],
  ['a root by every name', ['', '.', '/', '/./'].map((name) => item({ name, mode: DIR | 0o755 }))],
  [
    'link counts that lie',
    [item({ name: 'a', nlink: 0xffff_ffff, ino: 1 }), item({ name: 'b', nlink: 0, ino: 1 })],
  ],
  [
    'links in a circle',
    [
      item({ name: 'a', mode: LINK, data: Buffer.from('b') }),
      item({ name: 'b', mode: LINK, data: Buffer.from('a') }),
    ],
  ],
  ['a link that climbs', [item({ name: 'up', mode: LINK | 0o777, data: Buffer.from('../../../..') })]],
  ['a name and a target as long as a path can be', [file(PATH, 'long', 1), linkTo(PATH)]],
  ['types that do not exist', [item({ name: 'a', mode: 0 }), item({ name: 'b', mode: 0xffff_ffff })]],
];

for (const [title, items] of strange) {
  test(`keeps ${title} as they are, and edits beside them`, async (t) => {
    const plain = archiveBytes([...items, file('keep', 'kept', 90), file('change', 'old', 91)]);
    const blobs = new MemoryBlobs();
    const base = await read(zlib.gzipSync(plain), blobs);
    t.true(zlib.gunzipSync(fileOf(base, blobs)).equals(plain));
    for (const edits of [
      [put('change', 'new')],
      [remove('keep'), put('etc/new', 'x')],
      [chmod('keep', 0o600)],
    ]) {
      const got = zlib.gunzipSync(fileOf(await splice(base, edits, blobs), blobs));
      const strangers = parseArchive(got).items.slice(0, items.length);
      t.deepEqual(strangers.map(itemBytes), items.map(itemBytes));
      t.true(got.equals(await rewriteArchive(plain, edits, EDIT_TIME)));
    }
  });
}

test('an edit follows no link and no name out of the image', async (t) => {
  const blobs = new MemoryBlobs();
  const items = [
    item({ name: 'up', mode: LINK | 0o777, data: Buffer.from('../../../..') }),
    item({ name: 'out', mode: LINK | 0o777, data: Buffer.from('/../../tmp') }),
  ];
  const base = await read(zlib.gzipSync(archiveBytes(items)), blobs);
  const edited = await splice(base, [put('up/a', '1'), put('out/b', '2')], blobs);
  const names = (await loadEntries(edited, blobs)).map(({ path }) => pathToText(path));
  t.deepEqual(names, ['/up', '/out', '/a', '/tmp', '/tmp/b']);
  const climb = { ...put('x', ''), path: '../climber' as never };
  const error = await t.throwsAsync(splice(base, [climb], blobs), { instanceOf: ImageError });
  t.is(error.code, 'UNSAFE_PATH');
});

interface Mutation {
  readonly kind: 'flip' | 'set' | 'digit' | 'cut' | 'drop' | 'repeat' | 'insert';
  readonly at: number; // of 2^32 parts of the length
  readonly length: number;
  readonly value: number;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom(...(['flip', 'set', 'digit', 'digit', 'cut', 'drop', 'repeat', 'insert'] as const)),
  at: fc.nat(0xffff_ffff),
  length: fc.integer({ min: 1, max: 150 }),
  value: fc.nat(255),
});

function mutate(bytes: Buffer, { kind, at, length, value }: Mutation): Buffer {
  const place = Math.floor((at / 2 ** 32) * bytes.length);
  const [before, from] = [bytes.subarray(0, place), bytes.subarray(place)];
  const changed = (byte: number): Buffer => Buffer.concat([before, Buffer.of(byte), from.subarray(1)]);
  switch (kind) {
    case 'flip':
      return changed((from[0] ?? 0) ^ (1 << (value & 7)));
    case 'set':
      return changed(value);
    case 'digit':
      return changed((value & 15).toString(16).charCodeAt(0));
    case 'cut':
      return before;
    case 'drop':
      return Buffer.concat([before, from.subarray(length)]);
    case 'repeat':
      return Buffer.concat([before, from.subarray(0, length), from]);
    case 'insert':
      return Buffer.concat([before, Buffer.alloc(length, value), from]);
  }
}

const PLAIN = archiveBytes(ITEMS);
const SEEDS: readonly { readonly plain: Buffer; readonly wrap: (plain: Buffer) => Buffer }[] = [
  { plain: PLAIN, wrap: (plain) => plain },
  { plain: PLAIN, wrap: (plain) => zlib.gzipSync(plain) },
  {
    plain: Buffer.concat([PLAIN, archiveBytes([file('second', 'archive', 1)])]),
    wrap: (plain) => zlib.gzipSync(plain),
  },
  {
    plain: PLAIN,
    wrap: (plain) =>
      Buffer.concat([
        archiveBytes([file('kernel/early', 'microcode', 1)]),
        zlib.gzipSync(plain),
        zlib.gzipSync(PLAIN),
      ]),
  },
];

/** Reading and then editing gives what was promised, or says what is wrong and where. */
async function survives(t: ExecutionContext, bytes: Buffer): Promise<ImageErrorCode | 'read'> {
  const got = await attempt(bytes);
  if (got instanceof ImageError) {
    if (!/^(?=.*\boffset \d+|the archive is empty)[^\n]*$/.test(got.message)) t.fail(got.message);
    return got.code;
  }
  const { base, blobs } = got;
  const entries = await loadEntries(base, blobs);
  const plain = await plainOf(base, blobs);
  entries.forEach((entry) => {
    if (entry.end > plain[entry.frame]!.length + 3)
      t.fail(`${pathToText(entry.path)} ends outside its frame`);
  });
  try {
    const edited = await splice(base, [put('etc/rackboot', 'here'), put('last', 'changed')], blobs);
    const again = new MemoryBlobs();
    const reread = await loadEntries(await read(blobs.materialise(archiveMap(edited)), again), again);
    const expected = await loadEntries(edited, blobs);
    const sameNames =
      reread.map(({ rawName }) => rawName).join('\n') === expected.map(({ rawName }) => rawName).join('\n');
    if (!sameNames) t.fail('the edited archive does not read as it was written');
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    if (error.message.includes('\n')) t.fail(error.message);
    return error.code;
  }
  return 'read';
}

test('ten thousand damaged archives are read, or refused with the place of the damage', async (t) => {
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(SEEDS.length - 1),
      fc.constantFrom('inside', 'inside', 'outside'),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      async (seed, where, mutations) => {
        const { plain, wrap } = SEEDS[seed]!;
        const damage = (bytes: Buffer): Buffer => mutations.reduce(mutate, bytes);
        const outcome = await survives(t, where === 'inside' ? wrap(damage(plain)) : damage(wrap(plain)));
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      },
    ),
    { numRuns: 10_000, seed: 5 },
  );
  t.log(JSON.stringify(Object.fromEntries(outcomes)));
  for (const outcome of ['read', 'TRUNCATED', 'BAD_MAGIC', 'BAD_HEADER', 'BAD_CHECKSUM'])
    t.true((outcomes.get(outcome) ?? 0) > 100, `${outcome} was reached`);
});
