import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { run } from '../../src/cli/program.js';
import { counterpart, differences, makeTree, readTree, tempDir } from '../image/iso/counterparts.js';

async function rackboot(
  ...words: readonly string[]
): Promise<{ status: number; stdout: Buffer; stderr: string }> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const collect = (into: Buffer[]): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        into.push(chunk);
        done();
      },
    });
  const status = await run(words, { stdout: collect(chunks.stdout), stderr: collect(chunks.stderr) });
  return { status, stdout: Buffer.concat(chunks.stdout), stderr: Buffer.concat(chunks.stderr).toString() };
}

async function sample(t: ExecutionContext): Promise<{ dir: string; image: string; tree: string }> {
  const dir = await tempDir(t);
  const [tree, image] = [join(dir, 'tree'), join(dir, 'image.iso')];
  await makeTree(tree, {
    'boot.img': Buffer.alloc(2048, 'b'),
    'etc/hello': 'hello\n',
    'etc/bin': { mode: 0o755, bytes: Buffer.alloc(100_000, 'x') },
    link: { link: 'etc/hello' },
    'two\nlines': 'x',
  });
  await counterpart(
    'env',
    'SOURCE_DATE_EPOCH=1709210096',
    'xorriso',
    '-as',
    'mkisofs',
    '-quiet',
    '-R',
    '-J',
    '-V',
    'SAMPLE',
    '-b',
    'boot.img',
    '-c',
    'boot.cat',
    '-no-emul-boot',
    '--set_all_file_dates',
    '2024022912345600',
    '-uid',
    '0',
    '-gid',
    '0',
    '-o',
    image,
    tree,
  );
  return { dir, image, tree };
}

test('inspect tells volumes and boot entries, for people and as JSON', async (t) => {
  const { image } = await sample(t);
  const human = (await rackboot('iso', 'inspect', image)).stdout.toString();
  t.regex(human, /^image +\d+ bytes; 5 files, names from rock-ridge\nvolume +SAMPLE \(primary; \d+ bytes; /);
  t.regex(human, /\nvolume +SAMPLE \(joliet; /);
  t.regex(human, /\nboot +BIOS, bootable, no emulation, 4 sectors of 512 from sector \d+\n/);
  const facts = JSON.parse((await rackboot('--json', 'iso', 'inspect', image)).stdout.toString()) as {
    volumes: { kind: string; volumeId: string }[];
    boot: { platform: string }[];
    files: number;
  };
  t.deepEqual(
    facts.volumes.map(({ kind, volumeId }) => [kind, volumeId]),
    [
      ['primary', 'SAMPLE'],
      ['joliet', 'SAMPLE'],
    ],
  );
  t.deepEqual([facts.boot.length, facts.boot[0]?.platform, facts.files], [1, 'bios', 5]);
});

test('ls lists like ls -l, below a path too, and keeps control characters off the terminal', async (t) => {
  const { image } = await sample(t);
  t.is(
    (await rackboot('iso', 'ls', image)).stdout.toString(),
    `-r--r--r--  0:0    2048  2024-02-29 12:34  /boot.cat
-rw-r--r--  0:0    2048  2024-02-29 12:34  /boot.img
drwxr-xr-x  0:0       0  2024-02-29 12:34  /etc
-rwxr-xr-x  0:0  100000  2024-02-29 12:34  /etc/bin
-rw-r--r--  0:0       6  2024-02-29 12:34  /etc/hello
lrwxrwxrwx  0:0       0  2024-02-29 12:34  /link -> etc/hello
-rw-r--r--  0:0       1  2024-02-29 12:34  /two\\x0alines
`,
  );
  const below = (await rackboot('--json', 'iso', 'ls', image, '/etc/')).stdout.toString();
  t.deepEqual(
    (JSON.parse(below) as { path: string; mode: string; mtime: string }[]).map(({ path, mode, mtime }) => [
      path,
      mode,
      mtime,
    ]),
    [
      ['/etc', '0755', '2024-02-29T12:34:56.000Z'],
      ['/etc/bin', '0755', '2024-02-29T12:34:56.000Z'],
      ['/etc/hello', '0644', '2024-02-29T12:34:56.000Z'],
    ],
  );
});

test('cat gives the bytes, extract the tree', async (t) => {
  const { dir, image, tree } = await sample(t);
  t.deepEqual(
    (await rackboot('iso', 'cat', image, '/etc/bin')).stdout,
    await readFile(join(tree, 'etc/bin')),
  );
  const out = join(dir, 'out');
  const result = await rackboot('--json', 'iso', 'extract', image, out);
  t.is((JSON.parse(result.stdout.toString()) as { files: number }).files, 5);
  const extracted = await readTree(out);
  extracted.delete('boot.cat');
  t.deepEqual(differences(extracted, await readTree(tree)), {});
});

const wrong: readonly {
  readonly name: string;
  readonly words: (image: string) => string[];
  readonly status: number;
  readonly stderr: RegExp;
}[] = [
  {
    name: 'no such image',
    words: () => ['inspect', '/nonexistent.iso'],
    status: 1,
    stderr: /^rackboot: \/nonexistent\.iso cannot be opened \(ENOENT\)\. Name an ISO image\.\n$/,
  },
  { name: 'a directory', words: () => ['ls', '/'], status: 1, stderr: /\/ is not a regular file/ },
  {
    name: 'a text file',
    words: () => ['ls', '/etc/passwd'],
    status: 1,
    stderr: /\/etc\/passwd: No ISO 9660 volume/,
  },
  {
    name: 'no such file in it',
    words: (image) => ['cat', image, 'nothing'],
    status: 1,
    stderr: /holds no \/nothing/,
  },
  {
    name: 'a directory in it',
    words: (image) => ['cat', image, 'etc'],
    status: 1,
    stderr: /\/etc is a directory/,
  },
  {
    name: 'a directory in use',
    words: (image) => ['extract', image, '/etc'],
    status: 1,
    stderr: /\/etc is not empty/,
  },
  {
    name: 'no path',
    words: (image) => ['cat', image],
    status: 2,
    stderr: /missing required argument 'path'/,
  },
];
for (const { name, words, status, stderr } of wrong) {
  test(`wrong: ${name}`, async (t) => {
    const { image } = await sample(t);
    const result = await rackboot('iso', ...words(image));
    t.is(result.status, status);
    t.regex(result.stderr, stderr);
    t.is(result.stdout.length, 0);
  });
}
