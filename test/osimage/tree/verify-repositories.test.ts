import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { storeBlobArtifact } from '../../../src/osimage/artifacts.js';
import { verifyRepositories } from '../../../src/osimage/tree/verify-repositories.js';
import type { Artifact } from '../../../src/osimage/types.js';
import { MemoryBlobs } from '../../image/memory-blobs.js';
import { output } from '../../image/programs.js';
import { makePackages, workDirectory } from '../../repo/rpm-packages.js';

/** A tree with a repository at each of `places` (its options for createrepo_c), as artifacts. */
async function makeTree(
  t: ExecutionContext,
  places: Readonly<Record<string, readonly string[]>>,
): Promise<{ tree: Artifact[]; blobs: MemoryBlobs }> {
  const dir = await workDirectory(t);
  for (const [place, options] of Object.entries(places)) {
    const repository = path.join(dir, place);
    await makePackages(path.join(repository, 'Packages'), [{ name: 'one' }, { name: 'two' }]);
    await output('createrepo_c', ['--quiet', '--no-database', ...options, repository]);
  }
  const blobs = new MemoryBlobs();
  const tree: Artifact[] = [];
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((found) => found.isFile())) {
    const file = path.join(entry.parentPath, entry.name);
    const bytes = await readFile(file);
    const digest = await blobs.put(bytes);
    tree.push((await storeBlobArtifact(path.relative(dir, file), digest, bytes.length, blobs)).artifact);
  }
  return { tree: tree.sort((a, b) => (a.path < b.path ? -1 : 1)), blobs };
}

test('each repository of a tree is checked; Anaconda’s may be compressed as dnf reads it, XCP-ng’s not', async (t) => {
  const { tree, blobs } = await makeTree(t, {
    AppStream: ['--general-compress-type=xz'],
    BaseOS: ['--general-compress-type=gz'],
  });
  const el = await verifyRepositories({ family: 'el', files: [], tree }, blobs);
  t.deepEqual(
    el.map(({ path: place, packages, findings }) => ({ place, packages, findings })),
    [
      { place: 'AppStream', packages: 2, findings: [] },
      { place: 'BaseOS', packages: 2, findings: [] },
    ],
  );
  const [appStream, baseOs] = await verifyRepositories({ family: 'xcp-ng', files: [], tree }, blobs);
  t.regex(appStream?.findings.join('\n') ?? '', /^tree\/AppStream\/repodata\/.*: not gzip, /);
  t.deepEqual(baseOs?.findings, []);
});

test('a package that is not there, and one that is another, are found; a tree without a repository has nothing', async (t) => {
  const { tree, blobs } = await makeTree(t, { '': ['--general-compress-type=gz'] });
  const isOne = ({ path: name }: Artifact): boolean => name === 'Packages/one-1-1.noarch.rpm';
  const [two] = tree.filter(({ path: name }) => name.startsWith('Packages/two'));
  const without = tree.filter((artifact) => !isOne(artifact));
  t.regex(
    (await verifyRepositories({ family: 'xcp-ng', files: [], tree: without }, blobs))[0]?.findings.join(
      '\n',
    ) ?? '',
    /^tree\/Packages\/one-1-1\.noarch\.rpm: listed, but not there/,
  );
  const swapped = tree.map((artifact) =>
    isOne(artifact) && two !== undefined ? { ...two, path: artifact.path } : artifact,
  );
  t.regex(
    (await verifyRepositories({ family: 'xcp-ng', files: [], tree: swapped }, blobs))[0]?.findings.join(
      '\n',
    ) ?? '',
    /^tree\/Packages\/one-1-1\.noarch\.rpm: (not as large as|not the file that) /,
  );
  const plain = tree.filter(({ path: name }) => !name.startsWith('repodata/'));
  t.deepEqual(await verifyRepositories({ family: 'xcp-ng', files: [], tree: plain }, blobs), []);
});

test('the checksums of a .treeinfo at the top are checked wherever the repositories lie, with the boot files', async (t) => {
  for (const place of ['BaseOS', '']) {
    const { tree, blobs } = await makeTree(t, { [place]: ['--general-compress-type=gz'] });
    const store = async (name: string, text: string): Promise<Artifact> => {
      const bytes = Buffer.from(text);
      return (await storeBlobArtifact(name, await blobs.put(bytes), bytes.length, blobs)).artifact;
    };
    const files = [await store('images/initrd.img', 'initrd')];
    const verify = async (sum: string): Promise<readonly (readonly string[])[]> => {
      const treeinfo = await store('.treeinfo', `[checksums]\nimages/initrd.img = ${sum}\n`);
      const verified = await verifyRepositories({ family: 'el', files, tree: [...tree, treeinfo] }, blobs);
      return verified.map(({ findings }) => findings);
    };
    t.deepEqual(await verify(`sha256:${files[0]?.sha256 ?? ''}`), [[]]);
    t.deepEqual(await verify(`sha1:${createHash('sha1').update('initrd').digest('hex')}`), [[]]);
    const [[wrong = ''] = []] = await verify(`sha256:${'0'.repeat(64)}`);
    t.regex(wrong, /^tree\/images\/initrd\.img: not the file that \.treeinfo means/);
    t.regex(
      (await verify('x'))[0]?.[0] ?? '',
      /\.treeinfo: \[checksums\] images\/initrd\.img is no TYPE:HEX/,
    );
  }
});
