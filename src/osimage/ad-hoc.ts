import { pathFromText } from '../image/cpio/path.js';
import { blobContent, contentOf } from '../image/edit.js';
import type { ArchiveEdit } from '../image/splice.js';
import type { BlobReader } from '../store/types.js';
import type { AdHocEdit } from './types.js';

/** `edits` with `next` after them, without what `next` makes pointless: a repeated put does not make the list longer. */
export function addAdHocEdit(edits: readonly AdHocEdit[], next: AdHocEdit): AdHocEdit[] {
  const overtaken = (edit: AdHocEdit): boolean =>
    edit.archive === next.archive &&
    edit.part === next.part &&
    next.op !== 'chmod' &&
    (edit.path === next.path || (next.op === 'delete' && edit.path.startsWith(`${next.path}/`)));
  // A deletion stays before a put: what stood there may have been a directory.
  return [...edits.filter((edit) => !overtaken(edit) || (edit.op === 'delete' && next.op === 'put')), next];
}

/** The edit of `archive` that a recorded change stands for. */
export function adHocToEdit(edit: AdHocEdit, blobs: BlobReader): ArchiveEdit {
  const part = edit.part === undefined ? {} : { part: edit.part };
  const path = pathFromText(edit.path);
  const from = `${edit.op} ${edit.path}`;
  switch (edit.op) {
    case 'put': {
      const content = edit.size === 0 ? contentOf(Buffer.alloc(0)) : blobContent(edit.blob, edit.size, blobs);
      return { op: 'put', path, mode: edit.mode, uid: 0, gid: 0, content, from, ...part };
    }
    case 'delete':
      return { op: 'delete', path, required: false, from, ...part };
    case 'chmod':
      return { op: 'chmod', path, mode: edit.mode, from, ...part };
  }
}
