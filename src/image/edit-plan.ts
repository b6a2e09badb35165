import type { PlacedEntry } from './archive-index.js';
import { isDirectory, isSymlink, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type CpioMagic } from './cpio/header.js';
import { isSafe, joinPath, parentOf, pathToText, ROOT, type ArchivePath } from './cpio/path.js';
import { contentOf, type Edit } from './edit.js';
import { EntryDraft, type LinkGroup, type PlannedEntry } from './entry-draft.js';
import { ImageError } from './errors.js';

export type { PlannedEntry } from './entry-draft.js';

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

/** Symbolic links followed before a path counts as a loop (path_resolution(7): 40). */
const MAX_LINKS = 40;
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
  const draft = new Draft(entries, options);
  for (const edit of edits) draft.apply(edit);
  return draft.plan();
}

/** A file as the edits so far have left it: an entry of the archive (by place in the list), or a new one. */
type Node = { readonly kind: 'entry'; readonly at: number; readonly mode: number } | NewNode;

interface NewNode {
  readonly kind: 'new';
  entry: PlannedEntry;
  links?: LinkGroup;
}

class Draft {
  readonly #old: EntryDraft;
  readonly #mtime: number;
  readonly #nodes = new Map<ArchivePath, Node>();
  readonly #places = new Map<ArchivePath, number[]>(); // every entry of a path, duplicates included
  readonly #parents = new Set<ArchivePath>(); // every directory above an entry, whether or not it is an entry itself
  readonly #prefix: string;
  readonly #magic: CpioMagic;
  readonly #missed: Edit[] = [];

  constructor(entries: readonly PlacedEntry[], options: PlanOptions) {
    this.#old = new EntryDraft(entries);
    this.#mtime = options.mtime;
    const last = entries.at(-1);
    let dotted = 0; // of the names in the frame that new entries go to
    let named = 0;
    entries.forEach((entry, at) => {
      this.#nodes.set(entry.path, { kind: 'entry', at, mode: entry.header.mode });
      const places = this.#places.get(entry.path);
      if (places === undefined) this.#places.set(entry.path, [at]);
      else places.push(at);
      if (entry.frame === last?.frame) {
        named++;
        if (entry.rawName.startsWith('./')) dotted++;
      }
      for (let up = parentOf(entry.path); !this.#parents.has(up); up = parentOf(up)) this.#parents.add(up);
    });
    this.#magic = last?.header.magic ?? '070701';
    this.#prefix = dotted * 2 > named ? './' : '';
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
    }
  }

  plan(): EditPlan {
    this.#joinLinks();
    const added = [...this.#nodes]
      .flatMap(([path, node]) => (node.kind === 'new' ? [{ path, entry: node.entry }] : []))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
    return { changed: this.#old.changed, added: added.map(({ entry }) => entry), missed: this.#missed };
  }

  #put(edit: Extract<Edit, { op: 'put' }>): void {
    const path = this.#resolve(edit.path, edit.from);
    if (path === ROOT) {
      if (isDirectory(edit.mode)) return;
      throw new ImageError(
        'EDIT_CONFLICT',
        `${edit.from}: the root of the image is a directory; name a file in it`,
      );
    }
    this.#makeDirectory(parentOf(path), edit.from);
    const standing = this.#nodes.get(path);
    if (standing !== undefined) {
      const mode = modeOf(standing);
      if (isDirectory(edit.mode)) {
        if (isDirectory(mode)) return;
        if (isSymlink(mode) && this.#isDirectory(this.#resolve(path, edit.from, true))) return;
        throw new ImageError(
          'EDIT_CONFLICT',
          `${edit.from}: ${pathToText(path)} is a directory here and a file in the image; delete it from the image first`,
        );
      }
    }
    if (!isDirectory(edit.mode) && this.#isDirectory(path)) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${edit.from}: ${pathToText(path)} is a directory in the image; delete it first, or put the file into it`,
      );
    }
    const planned = this.#newEntry(path, edit);
    if (standing?.kind === 'entry') {
      const { rawName, header } = this.#old.entry(standing.at);
      this.#old.leave(standing.at);
      this.#old.change(standing.at, {
        ...planned,
        rawName,
        header: { ...planned.header, magic: header.magic },
      });
      this.#nodes.set(path, { kind: 'entry', at: standing.at, mode: edit.mode });
    } else {
      this.#nodes.set(path, { kind: 'new', entry: planned });
    }
  }

  #delete(edit: Extract<Edit, { op: 'delete' }>): void {
    const path = this.#resolve(edit.path, edit.from);
    if (path === ROOT)
      throw new ImageError(
        'EDIT_CONFLICT',
        `${edit.from}: the root of the image cannot be deleted; name a path in it`,
      );
    const gone = this.#withAllBelow(path);
    if (gone.length === 0 && edit.required) throw this.#missing(edit.path, edit.from);
    if (gone.length === 0) this.#missed.push(edit);
    for (const other of gone) this.#drop(other);
  }

  /** What stands at `path` (resolved) and below it. */
  #withAllBelow(path: ArchivePath): ArchivePath[] {
    const node = this.#nodes.get(path);
    const isLeaf = !this.#parents.has(path) && (node === undefined || !isDirectory(modeOf(node)));
    if (isLeaf) return node === undefined ? [] : [path];
    const below = `${path}/`;
    return [...this.#nodes.keys()].filter((other) => other === path || other.startsWith(below));
  }

  /** Takes away what stands at `path` (resolved), but not what is below it. */
  #drop(path: ArchivePath): void {
    this.#nodes.delete(path);
    for (const at of this.#places.get(path) ?? []) {
      if (this.#old.isGone(at)) continue;
      this.#old.leave(at);
      this.#old.change(at, null);
    }
    this.#places.delete(path);
  }

  #thin(keeps: (path: ArchivePath) => boolean): void {
    const kept = new Set<ArchivePath>([ROOT]);
    for (const path of this.#nodes.keys()) {
      if (!keeps(path)) continue;
      for (let up = path; !kept.has(up); up = parentOf(up)) kept.add(up);
    }
    for (const path of [...this.#nodes.keys()]) if (!kept.has(path)) this.#drop(path);
  }

  #link(edit: Extract<Edit, { op: 'link' }>): void {
    const { from } = edit;
    const to = this.#resolve(edit.to, from);
    const path = this.#resolve(edit.path, from);
    const file = this.#nodes.get(to);
    if (file === undefined && !this.#isDirectory(to)) throw this.#missing(edit.to, from);
    if (file === undefined || isDirectory(modeOf(file)) || isSymlink(modeOf(file))) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(to)} is a ${file !== undefined && isSymlink(modeOf(file)) ? 'symbolic link' : 'directory'}, which cannot get another name; make a symbolic link to it`,
      );
    }
    if (this.#isDirectory(path)) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(path)} is a directory in the image; delete it first`,
      );
    }
    const standing = this.#nodes.get(path);
    if (standing !== undefined && this.#areOne(file, standing)) return;
    this.#makeDirectory(parentOf(path), from);
    const links = this.#linksOf(file, to, from);
    const holder = file.kind === 'new' ? file.entry : this.#old.holder(file.at);
    this.#drop(path);
    const header = { ...holder.header, ino: this.#old.takeInode(), nlink: 1 };
    this.#nodes.set(path, {
      kind: 'new',
      entry: { ...holder, rawName: this.#prefix + path, header },
      links,
    });
  }

  /** Whether two nodes are names of one file. */
  #areOne(one: Node, other: Node): boolean {
    if (one === other) return true;
    if (one.kind === 'entry' && other.kind === 'entry' && this.#old.linked(one.at).includes(other.at))
      return true;
    const links = this.#knownLinksOf(one);
    return links !== undefined && links === this.#knownLinksOf(other);
  }

  #knownLinksOf(node: Node): LinkGroup | undefined {
    return node.kind === 'new' ? node.links : this.#old.linkGroup(node.at);
  }

  /** The names of the file `node`, which has the path `path`, as a group that takes new ones. */
  #linksOf(node: Node, path: ArchivePath, from: string): LinkGroup {
    const known = this.#knownLinksOf(node);
    if (known !== undefined) return known;
    if (node.kind === 'new') return (node.links = { places: new Set() });
    if (!this.#old.takesNames(node.at)) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(path)} is in another archive of this file than new names go to; put a copy in its place`,
      );
    }
    return this.#old.extend(node.at);
  }

  /** Gives all names of each file that got new ones the same number, and its data to one of them. */
  #joinLinks(): void {
    const groups = new Map<LinkGroup, { readonly path: ArchivePath; readonly node: NewNode }[]>();
    for (const [path, node] of this.#nodes) {
      if (node.kind !== 'new' || node.links === undefined) continue;
      const members = groups.get(node.links);
      if (members === undefined) groups.set(node.links, [{ path, node }]);
      else members.push({ path, node });
    }
    for (const [{ places }, members] of groups) {
      members.sort((a, b) => (a.path < b.path ? -1 : 1));
      const nlink = places.size + members.length;
      if (nlink < 2) continue;
      const [place] = places;
      const old = place === undefined ? members[0]?.node.entry.header : this.#old.planned(place).header;
      if (old === undefined) continue;
      // The number of a file with one name need not be its own.
      const ino = place === undefined || old.nlink > 1 ? old.ino : this.#old.takeInode();
      const shared = { ino, nlink, devMajor: old.devMajor, devMinor: old.devMinor };
      for (const at of places) {
        const now = this.#old.planned(at);
        this.#old.change(at, { ...now, header: { ...now.header, ...shared } });
      }
      const holder = place === undefined ? members.at(-1)?.node : undefined;
      for (const { node } of members) {
        const header = { ...node.entry.header, ...shared };
        node.entry =
          node === holder
            ? { ...node.entry, header }
            : {
                ...node.entry,
                header: { ...header, size: 0, check: 0 },
                data: { kind: 'new', content: contentOf(Buffer.alloc(0)) },
              };
      }
    }
  }

  #chmod(edit: Extract<Edit, { op: 'chmod' }>): void {
    const path = this.#resolve(edit.path, edit.from, true);
    const node = this.#nodes.get(path);
    if (node === undefined) throw this.#missing(edit.path, edit.from);
    this.#setFields(node, edit);
  }

  #set(edit: Extract<Edit, { op: 'set' }>): void {
    const { from, type } = edit;
    const named = this.#resolve(edit.path, from);
    const reached = type === S_IFDIR ? this.#resolve(named, from, true) : named;
    const path = this.#isDirectory(reached) ? reached : named;
    if (this.#isDirectory(path)) this.#makeDirectory(path, from);
    const node = this.#nodes.get(path) ?? (path === ROOT ? this.#makeRoot(from) : undefined);
    if (node === undefined) throw this.#missing(edit.path, from);
    if (type !== undefined && (modeOf(node) & S_IFMT) !== type) {
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(path)} is no ${TYPE_NAMES[type] ?? 'such file'} in the image; correct its type, or delete it first`,
      );
    }
    this.#setFields(node, edit);
  }

  /** Gives a file, under all of its names, the fields that are given. */
  #setFields(node: Node, fields: Pick<Extract<Edit, { op: 'set' }>, 'mode' | 'uid' | 'gid' | 'mtime'>): void {
    const withFields = (entry: PlannedEntry): PlannedEntry => {
      const { mode, uid, gid, mtime } = entry.header;
      const header = {
        ...entry.header,
        mode: fields.mode === undefined ? mode : (mode & S_IFMT) | (fields.mode & 0o7777),
        uid: fields.uid ?? uid,
        gid: fields.gid ?? gid,
        mtime: fields.mtime ?? mtime,
      };
      return { ...entry, header };
    };
    const links = this.#knownLinksOf(node);
    if (node.kind === 'new') node.entry = withFields(node.entry);
    for (const other of links === undefined ? [] : this.#nodes.values()) {
      if (other !== node && other.kind === 'new' && other.links === links)
        other.entry = withFields(other.entry);
    }
    for (const at of node.kind === 'entry' ? this.#old.linked(node.at) : (links?.places ?? [])) {
      const planned = withFields(this.#old.planned(at));
      this.#old.change(at, planned);
      const { path } = this.#old.entry(at);
      const standing = this.#nodes.get(path);
      if (standing?.kind === 'entry' && standing.at === at)
        this.#nodes.set(path, { ...standing, mode: planned.header.mode });
    }
  }

  #missing(path: ArchivePath, from: string): ImageError {
    return new ImageError(
      'NO_SUCH_ENTRY',
      `${from}: ${pathToText(path)} is not in the image; list what is with: rackboot image files`,
    );
  }

  /** The path that `path` reaches once the links among its parents are followed, and with `followLast` one that it names. */
  #resolve(path: ArchivePath, from: string, followLast = false): ArchivePath {
    let done: ArchivePath = ROOT;
    const ahead: string[] = path === ROOT ? [] : path.split('/').reverse();
    for (let links = 0; ahead.length > 0;) {
      const name = ahead.pop() ?? '';
      if (name === '..') {
        done = parentOf(done);
        continue;
      }
      const next = joinPath(done, name);
      const target = followLast || ahead.length > 0 ? this.#targetOf(next) : undefined;
      if (target === undefined) {
        done = next;
        continue;
      }
      if (++links > MAX_LINKS) {
        throw new ImageError(
          'EDIT_CONFLICT',
          `${from}: ${pathToText(path)} passes through a loop of symbolic links in the image`,
        );
      }
      if (target.startsWith('/')) done = ROOT;
      ahead.push(
        ...target
          .split('/')
          .filter((part) => part !== '' && part !== '.')
          .reverse(),
      );
    }
    return done;
  }

  /** The target of the symbolic link at `path`, or undefined when there is none. */
  #targetOf(path: ArchivePath): string | undefined {
    const node = this.#nodes.get(path);
    if (node === undefined || !isSymlink(modeOf(node))) return undefined;
    if (node.kind === 'new') return node.entry.target;
    const changed = this.#old.changed.get(node.at);
    return changed == null ? this.#old.entry(node.at).target : changed.target;
  }

  /** Whether a directory stands at `path` (resolved), or something below it, which makes it one. */
  #isDirectory(path: ArchivePath): boolean {
    const node = this.#nodes.get(path);
    if (node !== undefined) return isDirectory(modeOf(node));
    if (path === ROOT) return true;
    if (!this.#parents.has(path)) return false;
    const below = `${path}/`;
    for (const other of this.#nodes.keys()) if (other.startsWith(below)) return true;
    return false;
  }

  /** Adds `path` (resolved) and its parents as directories where nothing stands. */
  #makeDirectory(path: ArchivePath, from: string): void {
    if (path === ROOT) return;
    const node = this.#nodes.get(path);
    if (node !== undefined) {
      if (isDirectory(modeOf(node))) return;
      throw new ImageError(
        'EDIT_CONFLICT',
        `${from}: ${pathToText(path)} is a file in the image, so nothing can be put below it; delete it first`,
      );
    }
    this.#makeDirectory(parentOf(path), from);
    this.#nodes.set(path, { kind: 'new', entry: this.#newEntry(path, directoryEdit(path, from)) });
  }

  /** Adds the root directory itself, which an archive need not list. */
  #makeRoot(from: string): NewNode {
    const entry = { ...this.#newEntry(ROOT, directoryEdit(ROOT, from)), rawName: '.' };
    const node: NewNode = { kind: 'new', entry };
    this.#nodes.set(ROOT, node);
    return node;
  }

  #newEntry(path: ArchivePath, edit: Extract<Edit, { op: 'put' }>): PlannedEntry {
    return {
      rawName: this.#prefix + path,
      data: { kind: 'new', content: edit.content },
      header: {
        magic: this.#magic,
        ino: this.#old.takeInode(),
        mode: edit.mode,
        uid: edit.uid,
        gid: edit.gid,
        nlink: isDirectory(edit.mode) ? 2 : 1,
        mtime: edit.mtime ?? this.#mtime,
        size: edit.content.size,
        devMajor: 0,
        devMinor: 0,
        rdevMajor: edit.rdev?.major ?? 0,
        rdevMinor: edit.rdev?.minor ?? 0,
        check: 0,
      },
      ...(edit.target === undefined ? {} : { target: edit.target }),
    };
  }
}

const directoryEdit = (path: ArchivePath, from: string): Extract<Edit, { op: 'put' }> => ({
  op: 'put',
  path,
  mode: S_IFDIR | 0o755,
  uid: 0,
  gid: 0,
  content: contentOf(Buffer.alloc(0)),
  from,
});

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [S_IFDIR]: 'directory',
  [S_IFREG]: 'regular file',
  [S_IFLNK]: 'symbolic link',
};

const modeOf = (node: Node): number => (node.kind === 'new' ? node.entry.header.mode : node.mode);
