import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { brokenRepositories } from '../../../src/osimage/family/broken-repositories.js';
import type { SourceFile } from '../../../src/osimage/source/source.js';
import { formatRepomd, type MetadataFile } from '../../../src/repo/repomd.js';
import { imageSite } from '../../cli/image-site.js';

const PRIMARY: MetadataFile = {
  ...{ type: 'primary', href: 'repodata/p.xml.gz', size: 3 },
  checksum: { type: 'sha256', value: 'aa' },
};
const GOOD = formatRepomd({ files: [PRIMARY] });

const filesOf = (contents: Readonly<Record<string, string>>): SourceFile[] =>
  Object.entries(contents).map(([path, text]) => ({
    ...{ path, size: text.length, where: `/m/${path}` },
    async *read() {
      yield Promise.resolve(Buffer.from(text));
    },
  }));

const MEDIA: readonly (readonly [string, Readonly<Record<string, string>>, readonly RegExp[]])[] = [
  ['no repository', { 'a/repomd.xml': 'garbage' }, []],
  ['a good one', { 'repodata/repomd.xml': GOOD, 'repodata/p.xml.gz': 'xyz' }, []],
  [
    'garbage',
    { 'repodata/repomd.xml': '\0garbage' },
    [/^\/m\/repodata\/repomd\.xml: no <repomd> in it.*it is imported/],
  ],
  ['nothing', { 'repodata/repomd.xml': '' }, [/no <repomd> in it/]],
  ['an empty list', { 'repodata/repomd.xml': formatRepomd({ files: [] }) }, [/lists no primary metadata/]],
  [
    'a file outside',
    { 'repodata/repomd.xml': GOOD.replace('repodata/p', '../p') },
    [/outside the repository/],
  ],
  [
    'metadata that is not there',
    { 'repodata/repomd.xml': GOOD },
    [/lists repodata\/p\.xml\.gz \(primary\), which is not/],
  ],
  [
    'metadata that is cut short, in one of two',
    {
      ...{ 'a/repodata/repomd.xml': GOOD, 'a/repodata/p.xml.gz': 'xy' },
      ...{ 'b/repodata/repomd.xml': GOOD, 'b/repodata/p.xml.gz': 'xyz' },
    },
    [/^\/m\/a\/repodata\/p\.xml\.gz: 2 bytes instead of the 3 that/],
  ],
];

for (const [what, contents, expected] of MEDIA) {
  test(`media with ${what}`, async (t) => {
    const said = await brokenRepositories(filesOf(contents));
    t.is(said.length, expected.length, said.join('\n'));
    for (const [at, message] of expected.entries()) {
      t.regex(said[at] ?? '', message);
      t.false(said[at]?.includes('\n'));
    }
  });
}

test('an import says so, and keeps the rest', async (t) => {
  const { work, rackboot } = await imageSite(t, []);
  const media = join(work, 'media');
  await mkdir(join(media, 'repodata'), { recursive: true });
  for (const name of ['vmlinuz', 'repodata/repomd.xml']) await writeFile(join(media, name), 'garbage');
  await copyFile(join(work, 'x.img'), join(media, 'initrd.img'));
  const { status, out, err } = await rackboot('image', 'import', media, '--name', 'y');
  t.is(status, 0, err);
  t.regex(out, /^y generation 1/);
  t.regex(err, /repodata\/repomd\.xml: no <repomd> in it; .*it is imported as it is/);
});
