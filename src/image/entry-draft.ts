import { inodeOf, type PlacedEntry } from './archive-index.js';
import type { CpioHeader } from './cpio/header.js';
import type { Content, ExtendedAttributes } from './edit.js';

/** An entry to write: new content, or the data of an entry that the archive holds. */
export interface PlannedEntry {
  readonly rawName: string;
  readonly header: Omit<CpioHeader, 'nameSize'>;
  readonly data:
    | { readonly kind: 'new'; readonly content: Content }
    | { readonly kind: 'kept'; readonly entry: PlacedEntry };
  readonly target?: string;
  /** In a tar archive, of a hard link: the name of the file it is another name of. */
  readonly link?: string;
  /** Of a file with new content in a tar archive: the one whose extended attributes it has. */
  readonly attributes?: PlacedEntry;
  /** In a tar archive: extended attributes that come in place of those of the same name, or beside them. */
  readonly added?: ExtendedAttributes;
}

/** The entry of a tar archive whose extended attributes a planned one has. */
export function attributesOf({ data, attributes }: PlannedEntry): PlacedEntry | undefined {
  const entry = data.kind === 'kept' ? data.entry : attributes;
  return entry?.tar === undefined || entry.tar.link !== undefined ? undefined : entry;
}

/** A file that edits gave another name: its new names are the new entries that hold this object. */
export interface LinkGroup {
  readonly places: Set<number>; // its names in the archive, by place in the list
}

/** The entries of an archive, by place in the list, as edits so far have left them: their headers, their data, their hard links. */
export class EntryDraft {
  /** What stands in place of an entry, or null for nothing. */
  readonly changed = new Map<number, PlannedEntry | null>();
  readonly #entries: readonly PlacedEntry[];
  readonly #groups = new Map<string, number[]>(); // hard links: entries of one inode, in archive order
  readonly #extended = new Map<number, LinkGroup>(); // of entries whose file edits gave another name
  readonly #inodes = new Set<number>();
  #nextInode = 1;

  constructor(entries: readonly PlacedEntry[]) {
    this.#entries = entries;
    entries.forEach((entry, at) => {
      this.#inodes.add(entry.header.ino);
      this.#nextInode = Math.max(this.#nextInode, entry.header.ino + 1);
      const group = inodeOf(entry);
      if (group === undefined) return;
      const members = this.#groups.get(group);
      if (members === undefined) this.#groups.set(group, [at]);
      else members.push(at);
    });
  }

  isGone(at: number): boolean {
    return this.changed.get(at) === null;
  }

  change(at: number, to: PlannedEntry | null): void {
    this.changed.set(at, to);
  }

  /** An inode number that no entry has. */
  takeInode(): number {
    if (this.#nextInode > 0xffff_ffff) this.#nextInode = 1;
    while (this.#inodes.has(this.#nextInode)) this.#nextInode++;
    this.#inodes.add(this.#nextInode);
    return this.#nextInode++;
  }

  /** The entry that holds the data of the one at `at`: itself, or one of its hard links. */
  holder(at: number): PlannedEntry {
    const members = this.linked(at).map((other) => this.planned(other));
    return members.findLast(({ header }) => header.size > 0) ?? this.planned(at);
  }

  /** The entry of a tar archive whose extended attributes the file at `at` has: under one of its names. */
  attributesOf(at: number): PlacedEntry | undefined {
    for (const other of this.linked(at)) {
      const found = attributesOf(this.planned(other));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The group of the file that the entry at `at` is a name of, when edits gave it another. */
  linkGroup(at: number): LinkGroup | undefined {
    return this.#extended.get(at);
  }

  /** Whether new entries go to the archive that the one at `at` is in, so that they can be names of its file. */
  takesNames(at: number): boolean {
    return this.entry(at).archive === this.#entries.at(-1)?.archive;
  }

  /** Makes a group of the names of the file that the entry at `at` is one of. */
  extend(at: number): LinkGroup {
    const links = { places: new Set(this.linked(at)) };
    for (const place of links.places) this.#extended.set(place, links);
    return links;
  }

  /** Takes an entry away from the file it is a name of. */
  leave(at: number): void {
    this.#unlink(at);
    this.#extended.get(at)?.places.delete(at);
    this.#extended.delete(at);
  }

  /** Takes an entry out of its group of hard links; the others keep their data and count one link less. */
  #unlink(at: number): void {
    const members = this.linked(at);
    if (members.length < 2) return;
    const rest = members.filter((other) => other !== at);
    const leaving = this.planned(at);
    const holder = leaving.header.size > 0 ? rest.at(-1) : undefined;
    for (const other of rest) {
      const now = this.planned(other);
      const header = { ...now.header, nlink: Math.max(1, now.header.nlink - 1) };
      this.changed.set(
        other,
        other === holder && now.header.size === 0
          ? {
              ...now,
              header: { ...header, size: leaving.header.size, check: leaving.header.check },
              data: leaving.data,
            }
          : { ...now, header },
      );
    }
    const group = inodeOf(this.entry(at));
    if (group !== undefined) this.#groups.set(group, rest);
  }

  /** The places of all entries that share an inode with the one at `at`, itself included. */
  linked(at: number): readonly number[] {
    const group = inodeOf(this.entry(at));
    const members = group === undefined ? undefined : this.#groups.get(group);
    return members?.includes(at) === true ? members : [at];
  }

  /** The entry at `at` as it will be written. */
  planned(at: number): PlannedEntry {
    const changed = this.changed.get(at);
    if (changed != null) return changed;
    const entry = this.entry(at);
    return {
      rawName: entry.rawName,
      header: entry.header,
      data: { kind: 'kept', entry },
      ...(entry.target === undefined ? {} : { target: entry.target }),
    };
  }

  entry(at: number): PlacedEntry {
    const entry = this.#entries[at];
    if (entry === undefined) throw new RangeError(`no entry ${at}`);
    return entry;
  }
}
