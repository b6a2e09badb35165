import type { PlacedEntry } from './archive-index.js';
import { isDirectory, isSymlink } from './cpio/header.js';
import { parentOf, pathToText, ROOT, type ArchivePath } from './cpio/path.js';
import type { EntryDraft, LinkGroup, PlannedEntry } from './entry-draft.js';
import { ImageError } from './errors.js';
import { followLinks } from './follow-links.js';

/** A file as the edits so far have left it: an entry of the archive (by place in the list), or a new one. */
export type Node = OldNode | NewNode;

interface OldNode {
  readonly kind: 'entry';
  readonly at: number;
  readonly mode: number;
}

/** A file that edits made. */
export interface NewNode {
  readonly kind: 'new';
  entry: PlannedEntry;
  links?: LinkGroup;
}

/** st_mode of what a node is. */
export const modeOf = (node: Node): number => (node.kind === 'new' ? node.entry.header.mode : node.mode);

/** The files of an archive by path, as edits so far have left them: of duplicates, the last. */
export class DraftTree {
  readonly #old: EntryDraft;
  readonly #nodes = new Map<ArchivePath, Node>();
  readonly #places = new Map<ArchivePath, number[]>(); // every entry of a path, duplicates included
  #held: Map<ArchivePath, Set<ArchivePath>> | undefined; // what lies in each directory, made when first asked for

  /** `stands` says whether something of the entry at a place is left once all are unpacked. */
  constructor(
    entries: readonly PlacedEntry[],
    old: EntryDraft,
    stands: (at: number) => boolean = () => true,
  ) {
    this.#old = old;
    entries.forEach((entry, at) => {
      if (stands(at)) this.#nodes.set(entry.path, { kind: 'entry', at, mode: entry.header.mode });
      const places = this.#places.get(entry.path);
      if (places === undefined) this.#places.set(entry.path, [at]);
      else places.push(at);
    });
  }

  get(path: ArchivePath): Node | undefined {
    return this.#nodes.get(path);
  }

  /** Every file and its path. */
  all(): IterableIterator<[ArchivePath, Node]> {
    return this.#nodes.entries();
  }

  /** Lets `node` stand at `path`, instead of what stood there. */
  set(path: ArchivePath, node: Node): void {
    this.#nodes.set(path, node);
    if (this.#held !== undefined) hang(path, this.#held);
  }

  /** Takes away what stands at `path`, duplicates included, but not what is below it. */
  drop(path: ArchivePath): void {
    this.#nodes.delete(path);
    for (const at of this.#places.get(path) ?? []) {
      if (this.#old.isGone(at)) continue;
      this.#old.leave(at);
      this.#old.change(at, null);
    }
    this.#places.delete(path);
    if (this.#held !== undefined) this.#unhang(path, this.#held);
  }

  /** What stands at `path` and below it. */
  withAllBelow(path: ArchivePath): ArchivePath[] {
    const found: ArchivePath[] = [];
    const ahead = [path];
    for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
      if (this.#nodes.has(next)) found.push(next);
      ahead.push(...(this.#directories.get(next) ?? []));
    }
    return found;
  }

  /** Whether a directory stands at `path`, or something below it, which makes it one. */
  isDirectory(path: ArchivePath): boolean {
    const node = this.#nodes.get(path);
    if (node !== undefined) return isDirectory(modeOf(node));
    return path === ROOT || this.#directories.has(path);
  }

  /**
   * The path that `path` reaches once the links among its parents are followed, and with `last` one that it names.
   * Throws ImageError EDIT_CONFLICT for links that go round; `from` is where the edit comes from.
   */
  resolve(path: ArchivePath, from: string, last = false): ArchivePath {
    const reached = followLinks(path, { targetOf: (at) => this.#targetOf(at), last });
    if (reached !== undefined) return reached;
    throw new ImageError(
      'EDIT_CONFLICT',
      `${from}: ${pathToText(path)} passes through a loop of symbolic links in the image`,
    );
  }

  #targetOf(path: ArchivePath): string | undefined {
    const node = this.#nodes.get(path);
    if (node === undefined || !isSymlink(modeOf(node))) return undefined;
    return node.kind === 'new' ? node.entry.target : this.#old.planned(node.at).target;
  }

  get #directories(): ReadonlyMap<ArchivePath, ReadonlySet<ArchivePath>> {
    if (this.#held !== undefined) return this.#held;
    const held = new Map<ArchivePath, Set<ArchivePath>>();
    let [parent, beside] = [ROOT, new Set<ArchivePath>()]; // those of the path before: most are neighbours
    held.set(parent, beside);
    for (const path of this.#nodes.keys()) {
      if (path === ROOT) continue;
      if (path.lastIndexOf('/') !== parent.length || !path.startsWith(parent)) {
        hang(path, held);
        parent = parentOf(path);
        beside = held.get(parent) ?? beside;
      } else beside.add(path);
    }
    this.#held = held;
    return held;
  }

  /** Takes `path`, where nothing stands any more, out of its directory, and that out of its own when it held no more. */
  #unhang(path: ArchivePath, held: Map<ArchivePath, Set<ArchivePath>>): void {
    for (let gone = path; gone !== ROOT && !this.#nodes.has(gone) && !held.has(gone); gone = parentOf(gone)) {
      const beside = held.get(parentOf(gone));
      beside?.delete(gone);
      if (beside?.size === 0) held.delete(parentOf(gone));
    }
  }
}

/** Says in `held` that `path` lies in its parent, and that in its own, as far as it was not known. */
function hang(path: ArchivePath, held: Map<ArchivePath, Set<ArchivePath>>): void {
  for (let below = path; below !== ROOT; below = parentOf(below)) {
    const beside = held.get(parentOf(below));
    if (beside !== undefined) {
      beside.add(below);
      return;
    }
    held.set(parentOf(below), new Set([below]));
  }
}
