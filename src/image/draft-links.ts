import { pathToText, type ArchivePath } from './cpio/path.js';
import type { DraftTree, NewNode, Node } from './draft-tree.js';
import { contentOf } from './edit.js';
import type { EntryDraft, LinkGroup, PlannedEntry } from './entry-draft.js';
import { ImageError } from './errors.js';

/** The hard links that edits make: which new names a file gets, and in the end one number for all of its names. */
export class DraftLinks {
  readonly #old: EntryDraft;
  readonly #tree: DraftTree;

  constructor(old: EntryDraft, tree: DraftTree) {
    this.#old = old;
    this.#tree = tree;
  }

  /** The group of the file that `node` is a name of, when edits gave it another. */
  groupOf(node: Node): LinkGroup | undefined {
    return node.kind === 'new' ? node.links : this.#old.linkGroup(node.at);
  }

  /** Whether two nodes are names of one file. */
  areOne(one: Node, other: Node): boolean {
    if (one === other) return true;
    if (one.kind === 'entry' && other.kind === 'entry' && this.#old.linked(one.at).includes(other.at))
      return true;
    const links = this.groupOf(one);
    return links !== undefined && links === this.groupOf(other);
  }

  /**
   * The names of the file `node`, which has the path `path`, as a group that takes new ones. Throws ImageError
   * EDIT_CONFLICT where there can be none.
   */
  extend(node: Node, path: ArchivePath, from: string): LinkGroup {
    const known = this.groupOf(node);
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

  /** Makes `change` to the file `node`, under all of its names. */
  changeAll(node: Node, change: (entry: PlannedEntry) => PlannedEntry): void {
    const links = this.groupOf(node);
    if (node.kind === 'new') node.entry = change(node.entry);
    for (const [, other] of links === undefined ? [] : this.#tree.all()) {
      if (other !== node && other.kind === 'new' && other.links === links) other.entry = change(other.entry);
    }
    for (const at of node.kind === 'entry' ? this.#old.linked(node.at) : (links?.places ?? [])) {
      const planned = change(this.#old.planned(at));
      this.#old.change(at, planned);
      const { path } = this.#old.entry(at);
      const standing = this.#tree.get(path);
      if (standing?.kind === 'entry' && standing.at === at)
        this.#tree.set(path, { ...standing, mode: planned.header.mode });
    }
  }

  /** Gives all names of each file that got new ones the same number, and its data to one of them. */
  join(): void {
    const groups = new Map<LinkGroup, { readonly path: ArchivePath; readonly node: NewNode }[]>();
    for (const [path, node] of this.#tree.all()) {
      if (node.kind !== 'new' || node.links === undefined) continue;
      const members = groups.get(node.links);
      if (members === undefined) groups.set(node.links, [{ path, node }]);
      else members.push({ path, node });
    }
    for (const [links, members] of groups) {
      members.sort((a, b) => (a.path < b.path ? -1 : 1));
      this.#joinGroup(
        links,
        members.map(({ node }) => node),
      );
    }
  }

  #joinGroup({ places }: LinkGroup, members: readonly NewNode[]): void {
    const nlink = places.size + members.length;
    if (nlink < 2) return;
    const [place] = places;
    const old = place === undefined ? members[0]?.entry.header : this.#old.planned(place).header;
    if (old === undefined) return;
    // The number of a file with one name need not be its own.
    const ino = place === undefined || old.nlink > 1 ? old.ino : this.#old.takeInode();
    const shared = { ino, nlink, devMajor: old.devMajor, devMinor: old.devMinor };
    for (const at of places) {
      const now = this.#old.planned(at);
      this.#old.change(at, { ...now, header: { ...now.header, ...shared } });
    }
    const holder = place === undefined ? members.at(-1) : undefined;
    for (const node of members) {
      const entry = { ...node.entry, header: { ...node.entry.header, ...shared } };
      node.entry = node === holder ? entry : withoutData(entry);
    }
  }
}

const withoutData = (entry: PlannedEntry): PlannedEntry => ({
  ...entry,
  header: { ...entry.header, size: 0, check: 0 },
  data: { kind: 'new', content: contentOf(Buffer.alloc(0)) },
});
