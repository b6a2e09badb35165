import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { LayerPackage } from '../../image/layer-packages.js';
import { readLocalFile } from '../../image/local-file.js';
import { filesBelow, readText } from '../../repo/files.js';
import { keptFiles, readListing } from '../../repo/merge.js';
import { REPOMD, REPOMD_SIGNATURE } from '../../repo/repomd.js';
import { withPackageChecker } from '../../repo/signing/package-signatures.js';
import { signTree, unsignTree } from '../../repo/signing/sign-tree.js';
import type { Signer } from '../../repo/signing/signer.js';
import { formerKeys, parseTreeinfo, TREEINFO, withChecksum } from '../../repo/treeinfo.js';
import { sha256 } from '../../store/digest.js';
import { readRange, type ExtentMap } from '../../store/extents.js';
import type { BlobReader, BlobWriter } from '../../store/types.js';
import { storeBlobArtifact } from '../artifacts.js';
import type { Artifact } from '../types.js';
import { artifactFiles } from './artifact-files.js';
import { addPackages } from './metadata.js';
import { packageDirectory, repositoryPrefix } from './repository.js';
import { filesIn, layFile } from './scratch-files.js';

/** What an install tree is to become. */
export interface TreeRequest {
  readonly media: readonly Artifact[]; // the tree without them
  readonly layers: readonly (readonly LayerPackage[])[]; // their packages, highest first
  readonly signer: Signer | undefined;
}

export interface TreeTools {
  readonly blobs: BlobReader;
  readonly writer: BlobWriter;
  /** Runs with an empty directory that is gone afterwards. */
  readonly scratch: <T>(body: (directory: string) => Promise<T>) => Promise<T>;
  readonly note: (line: string) => void;
}

/**
 * The install tree with the layers’ packages in its repository, whose metadata is made and signed anew; without a signer it
 * is unsigned. Only the packages of the layers are read. The same request gives the same bytes, but for the signatures of
 * scripts and services. Throws RepoError.
 */
export async function editTree(request: TreeRequest, tools: TreeTools): Promise<readonly Artifact[]> {
  const { media, signer } = request;
  const { blobs, note } = tools;
  const text = await readText(artifactFiles(media, '', blobs, 'tree'), TREEINFO);
  const treeinfo = text === undefined ? undefined : parseTreeinfo(text, TREEINFO);
  const prefix = repositoryPrefix(media, treeinfo);
  const old = await readListing(artifactFiles(media, prefix, blobs, 'tree'));
  return tools.scratch(async (work) => {
    const top = path.join(work, 'tree');
    const dir = path.join(top, prefix);
    const placed = place(request.layers, packageDirectory(old.entries.map(({ href }) => href)));
    const unlisted = old.entries.filter(({ checksum }) => checksum.type !== 'sha256').map(({ href }) => href);
    for (const [href, { content }] of placed) await layFile(dir, href, readPackage(content, blobs));
    for (const href of unlisted) await layFile(dir, href, await old.files.read(href));
    const ranks = new Map([...placed].map(([href, { rank }]) => [href, rank]));
    const made = await addPackages({ old, dir, ranks, unlisted, work, note });

    await layListed(top, text, media, blobs);
    await layFile(dir, REPOMD, [Buffer.from(made.repomd)]);
    if (signer === undefined) {
      if (await wasSigned(media, prefix, dir))
        note(
          'nothing signs for this site, so the tree is unsigned now and its keys are not listed; see signing in rackboot.yaml',
        );
      await unsignTree(dir);
    } else {
      const { keyFile } = await signTree(dir, signer, { time: made.time });
      const files = made.added.map(({ href }) => path.join(dir, href));
      await noteUnsigned(await readFile(path.join(dir, keyFile), 'latin1'), files, note);
    }
    if (prefix !== '' && text !== undefined) {
      const updated = withChecksum(
        await readFile(path.join(top, TREEINFO), 'utf8'),
        prefix + REPOMD,
        sha256(made.repomd),
      );
      await writeFile(path.join(top, TREEINFO), updated);
    }

    const fresh = new Set([...placed.keys(), ...unlisted].map((href) => prefix + href));
    const gone = new Set([...made.dropped].map((href) => prefix + href));
    const listed = new Set([...made.files, ...keptFiles(old.repomd)].map(({ href }) => href));
    for (const { href } of old.repomd.files) if (!listed.has(href)) gone.add(prefix + href);
    if (signer === undefined) gone.add(prefix + REPOMD_SIGNATURE);
    const puts = new Map<string, Artifact>();
    for (const { href } of made.added) {
      const { content } = placed.get(href) ?? {};
      if (content !== undefined)
        puts.set(prefix + href, await blobArtifact(prefix + href, content, tools.writer));
    }
    const written = [
      ...(await filesIn(top))
        .filter((href) => !fresh.has(href))
        .map((href) => ({ href, file: path.join(top, href) })),
      ...made.files.map(({ href }) => ({ href: prefix + href, file: path.join(made.dir, href) })),
    ];
    for (const { href, file } of written) {
      const { digest, size } = await tools.writer.putStream(readLocalFile(file));
      puts.set(href, (await storeBlobArtifact(href, digest, size, tools.writer)).artifact);
    }
    return applied(media, puts, gone);
  });
}

interface Placed {
  readonly content: LayerPackage;
  readonly rank: number; // of its layer; 0 is the highest
}

/** By location, the layers’ packages; of two files with one name the higher layer’s. */
function place(layers: TreeRequest['layers'], directory: string): Map<string, Placed> {
  const placed = new Map<string, Placed>();
  for (const [rank, packages] of layers.entries()) {
    for (const content of packages) {
      const href = directory === '' ? content.name : `${directory}/${content.name}`;
      if (!placed.has(href)) placed.set(href, { content, rank });
    }
  }
  return placed;
}

function readPackage({ blob, size }: LayerPackage, blobs: BlobReader): AsyncIterable<Buffer> {
  const map: ExtentMap = { size, parts: [{ kind: 'blob', blob, offset: 0, length: size }] };
  return readRange(map, blobs, 0, size);
}

async function blobArtifact(
  href: string,
  { blob, size }: LayerPackage,
  writer: BlobWriter,
): Promise<Artifact> {
  return (await storeBlobArtifact(href, blob, size, writer)).artifact;
}

/** Puts .treeinfo and the keys that it lists, or listed until it was unsigned, where a signer finds them. */
async function layListed(
  top: string,
  treeinfo: string | undefined,
  media: readonly Artifact[],
  blobs: BlobReader,
): Promise<void> {
  await mkdir(top, { recursive: true });
  if (treeinfo === undefined) return;
  const whole = artifactFiles(media, '', blobs, 'tree');
  for (const href of [TREEINFO, ...parseTreeinfo(treeinfo, TREEINFO).keys])
    await layFile(top, href, await whole.read(href));
  for (const href of formerKeys(treeinfo)) {
    const key = await whole.read(href);
    if (key !== undefined) await layFile(top, href, key);
  }
}

/** Whether installers checked the tree’s metadata so far. */
async function wasSigned(media: readonly Artifact[], prefix: string, dir: string): Promise<boolean> {
  if (media.some((artifact) => artifact.path === prefix + REPOMD_SIGNATURE)) return true;
  const text = await readText(filesBelow(dir), TREEINFO);
  return text !== undefined && parseTreeinfo(text, TREEINFO).keys.length > 0;
}

/** Says which packages an installer will refuse: those that no key of the key file signed. */
async function noteUnsigned(
  keys: string,
  files: readonly string[],
  note: (line: string) => void,
): Promise<void> {
  const signatures = await withPackageChecker(keys, (checker) => checker.check(files));
  for (const [at, signature] of signatures.entries()) {
    const name = path.basename(files[at] ?? '');
    if (signature.kind === 'good') continue;
    const why =
      signature.kind === 'damaged'
        ? signature.why
        : signature.kind === 'unsigned'
          ? 'not signed'
          : `signed by key …${signature.key}, which the tree does not list`;
    note(
      `${name}: ${why}; an installer that checks packages stops at it: sign it with rpmsign, or switch gpgcheck off`,
    );
  }
}

/** The media’s tree with files put and others gone, in order of the paths. */
function applied(
  media: readonly Artifact[],
  puts: ReadonlyMap<string, Artifact>,
  gone: ReadonlySet<string>,
): Artifact[] {
  const before = new Map(media.map((artifact) => [artifact.path, artifact]));
  const changed = new Map(
    [...puts].filter(([href, { sha256: digest }]) => before.get(href)?.sha256 !== digest),
  );
  const kept = media.filter(({ path: href }) => !changed.has(href) && (!gone.has(href) || puts.has(href)));
  return [...kept, ...changed.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
