import { pathFromText } from '../image/cpio/path.js';
import { blobContent, contentOf } from '../image/edit.js';
import { decodeSnapshot, layerEdits, snapshotBlobs } from '../image/layer.js';
import type { ArchiveEdit } from '../image/splice.js';
import type { Digest } from '../store/digest.js';
import { readBlob } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import type { AdHocEdit } from './types.js';

/**
 * `edits` with `next` after them, without what `next` makes pointless: a repeated put does not make the list longer. What
 * lies before a command that was run in the image stays, as the command's changes build on it.
 */
export function addAdHocEdit(edits: readonly AdHocEdit[], next: AdHocEdit): AdHocEdit[] {
  const command = edits.findLastIndex((edit) => edit.op === 'edit' && edit.archive === next.archive);
  const overtaken = (edit: AdHocEdit, at: number): boolean =>
    at > command &&
    edit.op !== 'edit' &&
    next.op !== 'edit' &&
    next.op !== 'chmod' &&
    edit.archive === next.archive &&
    edit.part === next.part &&
    (edit.path === next.path || (next.op === 'delete' && edit.path.startsWith(`${next.path}/`)));
  // A deletion stays before a put: what stood there may have been a directory.
  return [
    ...edits.filter((edit, at) => !overtaken(edit, at) || (edit.op === 'delete' && next.op === 'put')),
    next,
  ];
}

/** What the recorded changes to `archive` do to it, oldest first. */
export async function adHocEdits(
  edits: readonly AdHocEdit[],
  archive: string,
  blobs: BlobReader,
): Promise<ArchiveEdit[]> {
  const all: ArchiveEdit[] = [];
  for (const edit of edits) if (edit.archive === archive) all.push(...(await editsOf(edit, blobs)));
  return all;
}

async function editsOf(edit: AdHocEdit, blobs: BlobReader): Promise<ArchiveEdit[]> {
  const part = edit.part === undefined ? {} : { part: edit.part };
  if (edit.op === 'edit') {
    const snapshot = decodeSnapshot(await readBlob(blobs, edit.changes));
    return layerEdits(`edit ${edit.command}`, snapshot, blobs).map((change) => ({ ...change, ...part }));
  }
  const path = pathFromText(edit.path);
  const from = `${edit.op} ${edit.path}`;
  switch (edit.op) {
    case 'put': {
      const content = edit.size === 0 ? contentOf(Buffer.alloc(0)) : blobContent(edit.blob, edit.size, blobs);
      return [{ op: 'put', path, mode: edit.mode, uid: 0, gid: 0, content, from, ...part }];
    }
    case 'delete':
      return [{ op: 'delete', path, required: false, from, ...part }];
    case 'chmod':
      return [{ op: 'chmod', path, mode: edit.mode, from, ...part }];
  }
}

/** Every blob that recorded changes need. */
export async function adHocBlobs(edits: readonly AdHocEdit[], blobs: BlobReader): Promise<Digest[]> {
  const needed: Digest[] = [];
  for (const edit of edits) {
    if (edit.op === 'put' && edit.size > 0) needed.push(edit.blob);
    if (edit.op === 'edit') {
      const snapshot = decodeSnapshot(await readBlob(blobs, edit.changes));
      needed.push(edit.changes, ...snapshotBlobs(snapshot));
    }
  }
  return needed;
}
