/**
 * A newc archive in memory, written and read in the plainest way there is: what the engine's streams are compared with.
 */
export interface Item {
  readonly name: string; // latin-1, as written
  readonly magic: string;
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly dev: readonly [number, number];
  readonly rdev: readonly [number, number];
  readonly check: number;
  readonly data: Buffer;
}

const BLANK: Item = {
  name: '',
  magic: '070701',
  ino: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  nlink: 1,
  mtime: 0,
  dev: [0, 0],
  rdev: [0, 0],
  check: 0,
  data: Buffer.alloc(0),
};

/** An item with the fields given, and zero in the others. */
export function item(fields: Partial<Item> & { readonly name: string }): Item {
  return { ...BLANK, mode: 0o100644, ...fields };
}

const TRAILER: Item = { ...BLANK, name: 'TRAILER!!!' };

const pad = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

/** An entry's bytes. */
export function itemBytes(entry: Item): Buffer {
  const numbers = [
    entry.ino,
    entry.mode,
    entry.uid,
    entry.gid,
    entry.nlink,
    entry.mtime,
    entry.data.length,
    ...entry.dev,
    ...entry.rdev,
    entry.name.length + 1,
    entry.check,
  ];
  const fields = numbers.map((n) => n.toString(16).toUpperCase().padStart(8, '0')).join('');
  return Buffer.concat([
    pad(Buffer.from(`${entry.magic}${fields}${entry.name}\0`, 'latin1')),
    pad(entry.data),
  ]);
}

/** An archive of `items` with a trailer, padded with zeros to a multiple of `block`. */
export function archiveBytes(items: readonly Item[], block = 512, trailer = TRAILER): Buffer {
  const bytes = Buffer.concat([...items, trailer].map(itemBytes));
  return Buffer.concat([bytes, Buffer.alloc((block - (bytes.length % block)) % block)]);
}

/** The items of an archive, its trailer, and how many bytes follow it. */
export function parseArchive(plain: Buffer): { items: Item[]; trailer: Item; after: number } {
  const items: Item[] = [];
  for (let at = 0; ;) {
    const number = (field: number): number =>
      parseInt(plain.toString('latin1', at + 6 + field * 8, at + 14 + field * 8), 16);
    const nameEnd = at + 110 + number(11);
    const data = (nameEnd + 3) & ~3;
    const end = data + number(6);
    const entry: Item = {
      magic: plain.toString('latin1', at, at + 6),
      name: plain.toString('latin1', at + 110, nameEnd - 1),
      ino: number(0),
      mode: number(1),
      uid: number(2),
      gid: number(3),
      nlink: number(4),
      mtime: number(5),
      dev: [number(7), number(8)],
      rdev: [number(9), number(10)],
      check: number(12),
      data: plain.subarray(data, end),
    };
    at = (end + 3) & ~3;
    if (entry.name === 'TRAILER!!!') return { items, trailer: entry, after: plain.length - at };
    items.push(entry);
  }
}
