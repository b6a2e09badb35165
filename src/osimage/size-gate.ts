import { decodeDescriptor } from '../image/archive.js';
import { collect } from '../image/chunks.js';
import { initrdRoom, KERNEL_HEADER } from '../image/kernel-room.js';
import { readBlob, readRange } from '../store/extents.js';
import type { AssignmentRecord, NodeRecord, Store } from '../store/records.js';
import type { BlobReader } from '../store/types.js';
import { OsimageError } from './errors.js';
import { artifactMap } from './manifest.js';
import type { Artifact, GenerationManifest } from './types.js';

/** What it takes to boot an entry; all in bytes. */
export interface BootNeed {
  readonly label: string;
  readonly compressed: number; // the kernel, its hypervisor and its initrds, as a loader puts them into memory
  readonly unpacked: number; // what the kernel makes of the initrds, while it still has them
  readonly initrds: number; // compressed, without the kernel
  readonly room?: number; // for initrds beside the kernel, where its file says
}

/** What each boot entry of a generation takes, in their order. */
export async function bootNeeds(manifest: GenerationManifest, blobs: BlobReader): Promise<BootNeed[]> {
  const byPath = new Map(manifest.files.map((file) => [file.path, file]));
  const needs: BootNeed[] = [];
  for (const entry of manifest.boot) {
    const { label } = entry;
    const initrds = entry.initrds.flatMap((path) => byPath.get(path) ?? []);
    const kernel = byPath.get(entry.kernel);
    const hypervisor = entry.kind === 'xen' ? byPath.get(entry.hypervisor) : undefined;
    const loaded = initrds.reduce((sum, { size }) => sum + size, 0);
    let unpacked = 0;
    for (const initrd of initrds) unpacked += await unpackedSize(initrd, manifest, blobs);
    // Xen puts the archive where it likes.
    const room = kernel === undefined || entry.kind === 'xen' ? undefined : await roomBeside(kernel, blobs);
    needs.push({
      label,
      compressed: loaded + (kernel?.size ?? 0) + (hypervisor?.size ?? 0),
      unpacked,
      initrds: loaded,
      ...(room === undefined ? {} : { room }),
    });
  }
  return needs;
}

async function unpackedSize(
  { path, size }: Artifact,
  { archives }: GenerationManifest,
  blobs: BlobReader,
): Promise<number> {
  const digest = archives[path];
  if (digest === undefined) return size;
  const { frames } = decodeDescriptor(await readBlob(blobs, digest));
  return frames.flatMap(({ segments }) => segments).reduce((sum, { plain }) => sum + plain, 0);
}

async function roomBeside(kernel: Artifact, blobs: BlobReader): Promise<number | undefined> {
  const map = await artifactMap(blobs, kernel);
  return initrdRoom(await collect(readRange(map, blobs, 0, Math.min(KERNEL_HEADER, map.size))));
}

/** The attribute of a node that says how much memory it has. */
export const MEMORY_ATTRIBUTE = 'memory';

const UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Bytes that a node's attribute `memory` stands for: `16G`, `16 GiB`, `16384` (MiB, as xCAT counts). Undefined for other text. */
export function memoryOf({ attributes }: Pick<NodeRecord, 'attributes'>): number | undefined {
  const [, number, unit] =
    /^\s*(\d{1,9})\s*(?:([kmgt])(?:i?b)?)?\s*$/i.exec(attributes[MEMORY_ATTRIBUTE] ?? '') ?? [];
  if (number === undefined) return undefined;
  return Number(number) * (UNITS[(unit ?? 'm').toLowerCase()] ?? 1);
}

/** What is said of a node whose memory an entry does not fit into, or undefined when it does or nobody knows. */
export function shortOfMemory(
  node: Pick<NodeRecord, 'name' | 'attributes'>,
  { label, compressed, unpacked }: BootNeed,
): string | undefined {
  const memory = memoryOf(node);
  if (memory === undefined || compressed + unpacked <= memory) return undefined;
  return `${node.name} has ${memory} bytes of memory (its attribute ${MEMORY_ATTRIBUTE}), and entry ${label} takes ${compressed + unpacked}: ${compressed} compressed and ${unpacked} unpacked`;
}

/** Nodes that boot whatever generation of an osimage is current. */
export interface Followers {
  readonly assignments: readonly AssignmentRecord[];
  readonly nodes: ReadonlyMap<string, NodeRecord>;
}

/**
 * The first limit that `after` crosses and `before`, what is current now, did not cross as far: what is wrong, in one
 * sentence; undefined when there is none. Pure.
 */
export function crossedLimit(
  before: readonly BootNeed[],
  after: readonly BootNeed[],
  { assignments, nodes }: Followers,
): string | undefined {
  for (const need of after) {
    const old = before.find(({ label }) => label === need.label);
    if (need.room !== undefined && need.initrds > need.room && need.initrds > (old?.initrds ?? 0)) {
      return `entry ${need.label} loads ${need.initrds} bytes of initrd, and BIOS loaders have room for ${need.room} beside its kernel (initrd_addr_max)`;
    }
  }
  for (const { node: name, entry } of assignments) {
    const node = nodes.get(name);
    const need = entry === null ? after[0] : after.find(({ label }) => label === entry);
    if (node === undefined || need === undefined) continue;
    const old = before.find(({ label }) => label === need.label);
    if (old !== undefined && need.compressed + need.unpacked <= old.compressed + old.unpacked) continue;
    const short = shortOfMemory(node, need);
    if (short !== undefined) return short;
  }
  return undefined;
}

/**
 * Refuses a generation of `osimage` that a loader or a node which follows it could not take, where the current one is
 * smaller. Throws OsimageError SIZE_LIMIT, which names the limit and the numbers.
 */
export async function requireFits(
  store: Store,
  osimage: string,
  before: GenerationManifest,
  after: GenerationManifest,
): Promise<void> {
  const assignments = (await store.nodes.assignments()).filter(
    (row) => row.state === 'osimage' && row.osimage === osimage && row.generation === null,
  );
  const nodes = await store.nodes.getMany(assignments.map(({ node }) => node));
  const followers = { assignments, nodes: new Map(nodes.map((node) => [node.name, node])) };
  const crossed = crossedLimit(
    await bootNeeds(before, store.blobs),
    await bootNeeds(after, store.blobs),
    followers,
  );
  if (crossed === undefined) return;
  throw new OsimageError(
    'SIZE_LIMIT',
    `${osimage}: ${crossed}; nothing was published, leave something out of the image or set the node to another one`,
  );
}
