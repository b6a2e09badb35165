import type { Digest } from '../store/digest.js';
import type { BlobReader } from '../store/types.js';
import { isDirectory, isSymlink } from './cpio/header.js';
import { canonicalPath } from './cpio/path.js';
import { driverBlobs, type DriverSet } from './drivers/driver-set.js';
import { blobContent, contentOf, type Edit, type ExtendedAttributes } from './edit.js';
import { exlistKeeps, type Exlist } from './exlist.js';
import type { LayerPackage } from './layer-packages.js';
import type { TreeFile } from './layer-tree.js';
import { mtreeEdits, type MtreeEntry } from './mtree.js';

/** A file of a layer's overlay. `path` and `target` are latin-1, so that names that are not UTF-8 survive. */
export interface LayerFile {
  readonly path: string; // canonical
  readonly mode: number; // st_mode
  readonly size: number; // bytes of a regular file
  readonly blob?: Digest; // content of a regular file that is not empty
  readonly target?: string; // of a symbolic link
  readonly sameAs?: string; // of a hard link: the path of the file that it is another name of, earlier in the list
}

/** Extended attributes that a file gets. */
export interface LayerAttributes {
  readonly path: string; // canonical
  readonly values: ExtendedAttributes;
}

/**
 * Everything a layer says, as it was when a generation was built. Stored as a blob, so that a generation can be built
 * again when the directory has changed or gone; the blob's digest is the layer's.
 */
export interface LayerSnapshot {
  readonly version: 1;
  readonly files: readonly LayerFile[]; // in order of their paths' bytes
  readonly removals: readonly string[]; // canonical paths, latin-1
  readonly exlist?: Exlist;
  readonly mtree?: readonly MtreeEntry[];
  readonly attributes?: readonly LayerAttributes[]; // where the layer is what a command changed
  readonly drivers?: DriverSet;
  readonly packages?: readonly LayerPackage[]; // for the install tree
  readonly tree?: readonly TreeFile[]; // for the install tree, where the layer has any
  readonly bootargs: string; // words of the kernel line, on the lines of the file; may hold Liquid expressions
  readonly xenargs?: string; // the same for the hypervisor's line, where the layer has any
  readonly answer?: { readonly name: string; readonly template: Digest };
}

/** A snapshot as the bytes of its blob. */
export function encodeSnapshot(snapshot: LayerSnapshot): Buffer {
  return Buffer.from(JSON.stringify(snapshot));
}

/** The snapshot that `encodeSnapshot` wrote. */
export function decodeSnapshot(bytes: Buffer): LayerSnapshot {
  return JSON.parse(bytes.toString('utf8')) as LayerSnapshot;
}

/** Every blob that a snapshot needs besides its own. */
export function* snapshotBlobs(snapshot: LayerSnapshot): Generator<Digest> {
  for (const { blob } of snapshot.files) if (blob !== undefined) yield blob;
  if (snapshot.drivers !== undefined) yield* driverBlobs(snapshot.drivers);
  for (const { blob } of snapshot.packages ?? []) yield blob;
  for (const { blob } of snapshot.tree ?? []) if (blob !== undefined) yield blob;
  if (snapshot.answer !== undefined) yield snapshot.answer.template;
}

/**
 * What a layer changes in an archive: first its removals and its exlist, then its overlay, owned by root, then what its
 * mtree file says, then its firmware. Its kernel modules depend on the image: see layeredEdits. `from` is for messages.
 */
export function layerEdits(from: string, snapshot: LayerSnapshot, blobs: BlobReader): Edit[] {
  const removals = snapshot.removals.map((path): Edit => ({
    op: 'delete',
    path: canonicalPath(path),
    required: false,
    from,
  }));
  const thin: Edit[] =
    snapshot.exlist === undefined ? [] : [{ op: 'thin', keeps: exlistKeeps(snapshot.exlist), from }];
  const overlay = snapshot.files.map((file) => overlayEdit(file, from, blobs));
  const held = new Set(snapshot.files.map((file) => canonicalPath(file.path)));
  const mtree = mtreeEdits(snapshot.mtree ?? [], held, `${from}: mtree`);
  const firmware = (snapshot.drivers?.firmware ?? []).map((file) => overlayEdit(file, from, blobs));
  const attributes = (snapshot.attributes ?? []).map(({ path, values }): Edit => ({
    op: 'attributes',
    path: canonicalPath(path),
    values,
    from,
  }));
  return [...removals, ...thin, ...overlay, ...mtree, ...attributes, ...firmware];
}

function overlayEdit(file: LayerFile, from: string, blobs: BlobReader): Edit {
  const path = canonicalPath(file.path);
  if (file.sameAs !== undefined) return { op: 'link', path, to: canonicalPath(file.sameAs), from };
  const shared = { op: 'put', path, mode: file.mode, uid: 0, gid: 0, from } as const;
  if (isSymlink(file.mode)) {
    const target = file.target ?? '';
    return { ...shared, content: contentOf(Buffer.from(target, 'latin1')), target };
  }
  const empty = isDirectory(file.mode) || file.blob === undefined;
  return {
    ...shared,
    content: empty ? contentOf(Buffer.alloc(0)) : blobContent(file.blob, file.size, blobs),
  };
}
