import type { PlacedEntry } from './archive-index.js';
import { isDirectory, isRegular, isSymlink, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './cpio/header.js';
import { isSafe, parentOf, pathToText, ROOT, type ArchivePath } from './cpio/path.js';
import { DraftLinks } from './draft-links.js';
import { DraftTree, modeOf, type NewNode, type Node } from './draft-tree.js';
import type { Edit } from './edit.js';
import { attributesOf, EntryDraft, type PlannedEntry } from './entry-draft.js';
import { ImageError } from './errors.js';
import { kernelView, type KernelView } from './kernel-view.js';
import { NewEntries } from './new-entries.js';

/** What becomes of an archive's entries. Entries that are not named stay as they are, where they are. */
export interface EditPlan {
  /** By place in the list of entries: what stands there instead, or null for nothing. */
  readonly changed: ReadonlyMap<number, PlannedEntry | null>;
  /** New entries, to follow all others: parents before children, in order of their names' bytes. */
  readonly added: readonly PlannedEntry[];
  /** Deletions that found nothing to delete. */
  readonly missed: readonly Edit[];
}

export interface PlanOptions {
  readonly mtime: number; // of new entries, seconds
}

/** Bytes in one component of a path (limits.h: NAME_MAX). */
const MAX_NAME = 255;

/**
 * What `edits`, applied one after another, change in an archive with `entries`. Throws ImageError NO_SUCH_ENTRY,
 * EDIT_CONFLICT or UNSAFE_PATH, naming the path and where the edit came from.
 */
export function planEdits(
  entries: readonly PlacedEntry[],
  edits: readonly Edit[],
  options: PlanOptions,
): EditPlan {
  const view = edits.length === 0 ? undefined : kernelView(entries);
  const draft = new Draft(entries, options, view);
  for (const edit of [...settling(entries, view), ...edits]) draft.apply(edit);
  return draft.plan();
}

/**
 * What keeps an edit of one name from reaching the others of a file that the archive writes through it: from now on they
 * are said to be its names. Not where they are in another archive, which takes no new names.
 */
function settling(entries: readonly PlacedEntry[], view: KernelView | undefined): Edit[] {
  const last = entries.at(-1)?.archive;
  return (view?.written ?? []).flatMap(({ path, others }) => {
    const isLast = entries.findLast((entry) => entry.path === path)?.archive === last;
    return isLast
      ? others.map((other): Edit => ({ op: 'link', path: other, to: path, from: 'the archive' }))
      : [];
  });
}

class Draft {
  readonly #old: EntryDraft;
  readonly #tree: DraftTree;
  readonly #links: DraftLinks;
  readonly #entries: NewEntries;
  readonly #missed: Edit[] = [];

  constructor(entries: readonly PlacedEntry[], options: PlanOptions, view: KernelView | undefined) {
    this.#old = new EntryDraft(entries);
    const paths = new Set(view?.entries.map(({ path }) => path));
    const stands = (at: number): boolean =>
      view === undefined || (!view.lost.has(at) && paths.has(entries[at]?.path ?? ROOT));
    this.#tree = new DraftTree(entries, this.#old, stands);
    this.#links = new DraftLinks(this.#old, this.#tree);
    this.#entries = new NewEntries(entries, this.#old, options.mtime);
  }

  apply(edit: Edit): void {
    if (edit.op === 'thin') return this.#thin(edit.keeps);
    const unsafe = [edit.path, ...(edit.op === 'link' ? [edit.to] : [])].find((path) => !isSafe(path));
    if (unsafe !== undefined) {
      throw new ImageError(
        'UNSAFE_PATH',
        `${edit.from}: ${pathToText(unsafe)} leaves the image; write the path from the image's root, without ".."`,
      );
    }
    const named = edit.op === 'link' || edit.op === 'put' ? edit.path : ROOT;
    if (named.split('/').some((name) => name.length > MAX_NAME)) {
      throw new ImageError(
        'NAME_TOO_LONG',
        `${edit.from}: ${pathToText(named)}: a name of more than ${MAX_NAME} bytes, which no Linux file system takes; shorten it`,
      );
    }
    switch (edit.op) {
      case 'put':
        return this.#put(edit);
      case 'delete':
        return this.#delete(edit);
      case 'link':
        return this.#link(edit);
      case 'chmod':
        return this.#chmod(edit);
      case 'set':
        return this.#set(edit);
      case 'attributes':
        return this.#setAttributes(edit);
    }
  }

  plan(): EditPlan {
    this.#links.join();
    const added = [...this.#tree.all()]
      .flatMap(([path, node]) => (node.kind === 'new' ? [{ path, entry: node.entry }] : []))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
    return { changed: this.#old.changed, added: added.map(({ entry }) => entry), missed: this.#missed };
  }

  #put(edit: Extract<Edit, { op: 'put' }>): void {
    const path = this.#tree.resolve(edit.path, edit.from);
    if (path === ROOT) {
      if (isDirectory(edit.mode)) return;
      throw new ImageError(
        'EDIT_CONFLICT',
        `${edit.from}: the root of the image is a directory; name a file in it`,
      );
    }
    this.#makeDirectory(parentOf(path), edit.from);
    const standing = this.#tree.get(path);
    if (standing !== undefined) {
      const mode = modeOf(standing);
      if (isDirectory(edit.mode)) {
        if (isDirectory(mode)) return;
        if (isSymlink(mode) && this.#tree.isDirectory(this.#tree.resolve(path, edit.from, true))) return;
        throw new ImageError(
          'EDIT_CONFLICT',
          `${edit.from}: ${pathToText(path)} is a directory here and a file in the image; delete it from the image first`,
        );
      }
    }
    if (!isDirectory(edit.mode) && this.#tree.isDirectory(path)) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${edit.from}: ${pathToText(path)} is a directory in the image; delete it first, or put the file into it`,
      );
    }
    const planned = { ...this.#entries.put(path, edit), ...this.#attributesOf(standing, edit.mode) };
    if (standing?.kind === 'entry') {
      const { rawName, header } = this.#old.entry(standing.at);
      this.#old.leave(standing.at);
      this.#old.change(standing.at, {
        ...planned,
        rawName,
        header: { ...planned.header, magic: header.magic },
      });
      this.#tree.set(path, { kind: 'entry', at: standing.at, mode: edit.mode });
    } else {
      this.#tree.set(path, { kind: 'new', entry: planned });
    }
  }

  /** Of a regular file that another takes the place of: whose extended attributes the new one has. */
  #attributesOf(standing: Node | undefined, mode: number): Pick<PlannedEntry, 'attributes' | 'added'> {
    if (standing === undefined || !isRegular(mode) || !isRegular(modeOf(standing))) return {};
    const before = standing.kind === 'new' ? standing.entry : this.#old.planned(standing.at);
    const attributes =
      standing.kind === 'new' ? attributesOf(standing.entry) : this.#old.attributesOf(standing.at);
    // As the kernel drops them once a file is written to (capabilities(7)).
    const { 'security.capability': _dropped, ...added } = before.added ?? {};
    return {
      ...(attributes === undefined ? {} : { attributes }),
      ...(Object.keys(added).length === 0 ? {} : { added }),
    };
  }

  #delete(edit: Extract<Edit, { op: 'delete' }>): void {
    const path = this.#tree.resolve(edit.path, edit.from);
    if (path === ROOT)
      throw new ImageError(
        'EDIT_CONFLICT',
        `${edit.from}: the root of the image cannot be deleted; name a path in it`,
      );
    const gone = this.#tree.withAllBelow(path);
    if (gone.length === 0 && edit.required) throw this.#missing(edit.path, edit.from);
    if (gone.length === 0) this.#missed.push(edit);
    for (const other of gone) this.#tree.drop(other);
  }

  #thin(keeps: (path: ArchivePath) => boolean): void {
    const kept = new Set<ArchivePath>([ROOT]);
    const paths = [...this.#tree.all()].map(([path]) => path);
    for (const path of paths) {
      if (!keeps(path)) continue;
      for (let up = path; !kept.has(up); up = parentOf(up)) kept.add(up);
    }
    for (const path of paths) if (!kept.has(path)) this.#tree.drop(path);
  }

  #link(edit: Extract<Edit, { op: 'link' }>): void {
    const { from } = edit;
    const to = this.#tree.resolve(edit.to, from);
    const path = this.#tree.resolve(edit.path, from);
    const file = this.#tree.get(to);
    if (file === undefined && !this.#tree.isDirectory(to)) throw this.#missing(edit.to, from);
    if (file === undefined || isDirectory(modeOf(file)) || isSymlink(modeOf(file))) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(to)} is a ${file !== undefined && isSymlink(modeOf(file)) ? 'symbolic link' : 'directory'}, which cannot get another name; make a symbolic link to it`,
      );
    }
    if (this.#tree.isDirectory(path)) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(path)} is a directory in the image; delete it first`,
      );
    }
    const standing = this.#tree.get(path);
    if (standing !== undefined && this.#links.areOne(file, standing)) return;
    this.#makeDirectory(parentOf(path), from);
    const links = this.#links.extend(file, to, from);
    const holder = file.kind === 'new' ? file.entry : this.#old.holder(file.at);
    this.#tree.drop(path);
    const header = { ...holder.header, ino: this.#old.takeInode(), nlink: 1 };
    this.#tree.set(path, {
      kind: 'new',
      entry: { ...holder, rawName: this.#entries.nameOf(path), header },
      links,
    });
  }

  #chmod(edit: Extract<Edit, { op: 'chmod' }>): void {
    const path = this.#tree.resolve(edit.path, edit.from, true);
    const node = this.#tree.get(path);
    if (node === undefined) throw this.#missing(edit.path, edit.from);
    this.#setFields(node, edit);
  }

  #set(edit: Extract<Edit, { op: 'set' }>): void {
    const { from, type } = edit;
    const named = this.#tree.resolve(edit.path, from);
    const reached = type === S_IFDIR ? this.#tree.resolve(named, from, true) : named;
    const path = this.#tree.isDirectory(reached) ? reached : named;
    if (this.#tree.isDirectory(path)) this.#makeDirectory(path, from);
    const node = this.#tree.get(path) ?? (path === ROOT ? this.#makeRoot() : undefined);
    if (node === undefined) throw this.#missing(edit.path, from);
    if (type !== undefined && (modeOf(node) & S_IFMT) !== type) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(path)} is no ${TYPE_NAMES[type] ?? 'such file'} in the image; correct its type, or delete it first`,
      );
    }
    this.#setFields(node, edit);
  }

  #setAttributes(edit: Extract<Edit, { op: 'attributes' }>): void {
    const path = this.#tree.resolve(edit.path, edit.from);
    if (this.#tree.isDirectory(path)) this.#makeDirectory(path, edit.from);
    const node = this.#tree.get(path) ?? (path === ROOT ? this.#makeRoot() : undefined);
    if (node === undefined) throw this.#missing(edit.path, edit.from);
    this.#links.changeAll(node, (entry) => ({ ...entry, added: { ...entry.added, ...edit.values } }));
  }

  /** Gives a file, under all of its names, the fields that are given. */
  #setFields(node: Node, fields: Pick<Extract<Edit, { op: 'set' }>, 'mode' | 'uid' | 'gid' | 'mtime'>): void {
    this.#links.changeAll(node, (entry) => {
      const { mode, uid, gid, mtime } = entry.header;
      const header = {
        ...entry.header,
        mode: fields.mode === undefined ? mode : (mode & S_IFMT) | (fields.mode & 0o7777),
        uid: fields.uid ?? uid,
        gid: fields.gid ?? gid,
        mtime: fields.mtime ?? mtime,
      };
      return { ...entry, header };
    });
  }

  #missing(path: ArchivePath, from: string): ImageError {
    return new ImageError(
      'NO_SUCH_ENTRY',
      `${from}: ${pathToText(path)} is not in the image; list what is with: rackboot image files`,
    );
  }

  /** Adds `path` (resolved) and its parents as directories where nothing stands. */
  #makeDirectory(path: ArchivePath, from: string): void {
    if (path === ROOT) return;
    const node = this.#tree.get(path);
    if (node !== undefined) {
      if (isDirectory(modeOf(node))) return;
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(path)} is a file in the image, so nothing can be put below it; delete it first`,
      );
    }
    this.#makeDirectory(parentOf(path), from);
    this.#tree.set(path, { kind: 'new', entry: this.#entries.directory(path) });
  }

  /** Adds the root directory itself, which an archive need not list. */
  #makeRoot(): NewNode {
    const node: NewNode = { kind: 'new', entry: this.#entries.directory(ROOT) };
    this.#tree.set(ROOT, node);
    return node;
  }
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [S_IFDIR]: 'directory',
  [S_IFREG]: 'regular file',
  [S_IFLNK]: 'symbolic link',
};
