import { createHash } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExtentMap } from '../../store/extents.js';
import type { BlobWriter } from '../../store/types.js';
import { ImageError } from '../errors.js';
import { DEBIAN_BOOT_FILES, type BootFiles } from './boot-files.js';
import { composeMap, storeBytes, type Placed } from './compose.js';
import { backupGpt, decodeGptHeader, GPT_SECTOR, partitionArray } from './gpt.js';
import { debianLoaders, type IsoLoaders, type LoaderFile } from './loaders.js';
import { ImagePrefix } from './prefix.js';
import { openIso } from './reader.js';
import { checkRequest, checkVolumeId, type IsoEntry, type IsoRequest } from './request.js';
import { scratchRoot, stageTree, withScratch, writeWeights, type StagedFile } from './staging.js';
import type { IsoNode } from './tree.js';
import { FIRST_DESCRIPTOR, SECTOR } from './volume.js';
import { startXorriso, type XorrisoPlan } from './xorriso.js';

/** What authorIso may use of the world. */
export interface AuthorTools {
  readonly writer: BlobWriter;
  readonly bootFiles?: BootFiles; // Debian's unless given
  readonly tempDir?: string; // memory-backed where there is such a place, unless given
}

/** What is worth knowing about an image that was written. */
export interface IsoFacts {
  readonly metadataBytes: number; // what xorriso laid out: descriptors, directories, boot catalog
  /** Where each file lies, in the order of their bytes. */
  readonly files: readonly { readonly path: string; readonly offset: number; readonly size: number }[];
}

/** A written image: an extent map that refers to the caller's and to blobs put through the writer (not yet sealed). */
export interface AuthoredIso {
  readonly map: ExtentMap;
  readonly sizeBytes: number;
  readonly facts: IsoFacts;
}

/** A file on its way into the image. */
interface Planned extends StagedFile {
  readonly map: ExtentMap | null; // null: xorriso writes the bytes itself
}

/**
 * Writes a bootable ISO 9660 image with Rock Ridge and Joliet without copying the files in it: xorriso lays out a tree
 * of holes, and the map puts the files' own extents where the holes came to lie. xorriso is stopped where the files
 * begin, so the work does not depend on their size. Throws ImageError: a bad request, a missing tool or package, no room.
 */
export async function authorIso(request: IsoRequest, tools: AuthorTools): Promise<AuthoredIso> {
  checkVolumeId(request.volumeId);
  const tempDir = tools.tempDir ?? (await scratchRoot());
  const { boot } = request;
  const loaders =
    'files' in boot
      ? boot
      : await debianLoaders(request, boot, tools.bootFiles ?? DEBIAN_BOOT_FILES, tempDir);
  const files = await planFiles(request, loaders, tools.writer);
  return withScratch(tempDir, async (scratch) => {
    const tree = join(scratch, 'tree');
    await mkdir(tree);
    await chmod(tree, 0o755);
    await stageTree(tree, files);
    const weights = join(scratch, 'weights');
    await writeWeights(weights, files);
    const { bios, uefi } = loaders;
    const bootCode = bios?.bootCode ?? null;
    const mbr = bootCode === null ? null : join(scratch, 'mbr');
    if (mbr !== null && bootCode !== null) await writeFile(mbr, padded(bootCode));
    return layOut(
      {
        directory: tree,
        weights,
        volumeId: request.volumeId,
        date: request.date,
        diskGuid: diskGuid(request, loaders, files),
        bios:
          bios === null ? null : { kind: bios.kind, bootImage: bios.image.path, catalog: bios.catalog, mbr },
        uefi: uefi === null ? null : { bootImage: uefi.image.path, catalog: uefi.catalog },
      },
      files,
      tools.writer,
    );
  });
}

/** Boot code as a whole MBR, as xorriso takes it. */
function padded(bootCode: Buffer): Buffer {
  const mbr = Buffer.alloc(512);
  bootCode.copy(mbr);
  mbr.writeUInt16BE(0x55aa, 510);
  return mbr;
}

/** Everything the image will hold, in the order of its bytes: what xorriso writes itself comes first. */
async function planFiles(
  request: IsoRequest,
  { bios, uefi, files }: IsoLoaders,
  writer: BlobWriter,
): Promise<Planned[]> {
  const added: IsoEntry[] = [...files];
  const real: Planned[] = [];
  const write = ({ path, bytes }: LoaderFile): void => {
    real.push({ path, size: bytes.length, mode: 0o644, real: bytes, map: null });
  };
  if (bios !== null) write(bios.image);
  if (uefi !== null) {
    // Without isolinux, xorriso puts its boot catalog behind this image: so it has to write that too.
    if (bios?.kind !== 'isolinux') write(uefi.image);
    else added.push({ path: uefi.image.path, content: { kind: 'bytes', bytes: uefi.image.bytes } });
  }
  const catalogs = [bios, uefi].flatMap((loader) => (loader === null ? [] : [loader.catalog]));
  checkRequest(request, [...added, ...real].map(({ path }) => path).concat(catalogs));
  const placed: Planned[] = [];
  for (const entry of [...added, ...sorted(request.entries)]) {
    const map =
      entry.content.kind === 'map' ? entry.content.map : await storeBytes(entry.content.bytes, writer);
    placed.push({ path: entry.path, size: map.size, mode: (entry.mode ?? 0o644) & 0o777, map });
  }
  return [...real, ...placed];
}

function sorted(entries: readonly IsoEntry[]): IsoEntry[] {
  return entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function layOut(
  plan: XorrisoPlan,
  files: readonly Planned[],
  writer: BlobWriter,
): Promise<AuthoredIso> {
  const run = startXorriso(plan);
  try {
    const prefix = new ImagePrefix(run.output, () => run.failure());
    const image = await openIso(prefix);
    const size = image.volumes[0]?.sizeBytes ?? 0;
    const placed = placeFiles(files, image.nodes);
    const metadataEnd = Math.min(size, ...firstOffset(placed));
    checkOrder(files, image.nodes, metadataEnd);
    const metadata = await prefix.read(0, metadataEnd);
    const gpt = findBackup(metadata, size);
    const map = composeMap(size, [
      { path: 'its directories', offset: 0, map: await storeBytes(metadata, writer) },
      ...placed,
      ...(gpt === null
        ? []
        : [{ path: 'the backup GPT', offset: size - gpt.length, map: await storeBytes(gpt, writer) }]),
    ]);
    const facts = {
      metadataBytes: metadataEnd,
      files: placed.map(({ path, offset, map: { size: length } }) => ({ path, offset, size: length })),
    };
    return { map, sizeBytes: size, facts };
  } finally {
    await run.stop();
  }
}

/** Where xorriso put every file whose bytes are the caller's. */
function placeFiles(files: readonly Planned[], nodes: readonly IsoNode[]): Placed[] {
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  const placed: Placed[] = [];
  for (const { path, size, map } of files) {
    if (map === null) continue;
    const node = byPath.get(path);
    const [extent] = node?.extents ?? [];
    if (node?.kind !== 'file' || node.size !== size || node.extents.length > 1) throw misplaced(path);
    placed.push({ path, offset: extent?.offset ?? 0, map });
  }
  return placed;
}

function firstOffset(placed: readonly Placed[]): number[] {
  const first = placed.find(({ map }) => map.size > 0);
  return first === undefined ? [] : [first.offset];
}

/** Everything xorriso wrote itself must lie before the first hole, and all holes behind it. */
function checkOrder(files: readonly Planned[], nodes: readonly IsoNode[], metadataEnd: number): void {
  const holes = new Set(files.filter(({ map }) => map !== null).map(({ path }) => path));
  for (const node of nodes) {
    for (const { offset, length } of node.extents) {
      const inOrder = holes.has(node.path) ? offset >= metadataEnd : offset + length <= metadataEnd;
      if (!inOrder) throw misplaced(node.path);
    }
  }
}

/** The backup GPT that belongs to the primary one in `metadata`, or null when there is none. */
function findBackup(metadata: Buffer, size: number): Buffer | null {
  const primary = decodeGptHeader(metadata.subarray(GPT_SECTOR, 2 * GPT_SECTOR));
  if (primary === undefined) return null;
  const array = partitionArray(primary, metadata.subarray(0, FIRST_DESCRIPTOR * SECTOR));
  if (array === undefined || (primary.otherSector + 1) * GPT_SECTOR !== size) throw misplaced('the GPT');
  return backupGpt(primary, array);
}

/** A GUID that depends on everything in the image. */
function diskGuid(request: IsoRequest, { bios, uefi }: IsoLoaders, files: readonly Planned[]): string {
  const hash = createHash('sha256');
  const boot = { bios: bios !== null, uefi: uefi !== null };
  hash.update(JSON.stringify([request.volumeId, request.date.getTime(), boot]));
  for (const { path, size, mode, map, real } of files) {
    hash.update(JSON.stringify([path, size, mode]));
    if (real !== undefined) hash.update(real);
    for (const part of map?.parts ?? []) {
      if (part.kind === 'inline') hash.update(`i${part.bytes.length}:`).update(part.bytes);
      else hash.update(JSON.stringify(part));
    }
  }
  return hash.digest('hex').slice(0, 32);
}

function misplaced(path: string): ImageError {
  return new ImageError(
    'TOOL_FAILED',
    `xorriso laid out ${path} in a way rackboot does not know. Report this with the output of \`xorriso -version\`.`,
  );
}
