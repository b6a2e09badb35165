import { CompiledQuery, sql, type RawBuilder } from 'kysely';
import { asDigest, type Digest } from '../digest.js';
import { StoreError } from '../errors.js';
import type { DatabaseKind } from './migrations.js';
import type { Queries } from './tables.js';

/** How many values one IN list or one insert carries. */
const groupSize = 1000;

/** `items` in groups of at most `size`. */
export function* groupsOf<T>(items: Iterable<T>, size: number = groupSize): Generator<T[]> {
  let group: T[] = [];
  for (const item of items) {
    group.push(item);
    if (group.length === size) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}

/** A digest as the database keeps it: 32 bytes. */
export function digestBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'hex');
}

/** A digest as the database gave it. */
export function digestOf(bytes: Buffer): Digest {
  const digest = asDigest(bytes.toString('hex'));
  if (digest === undefined) {
    throw new StoreError(
      'DATABASE_DAMAGED',
      `the database holds a digest of ${bytes.length} bytes; put a backup in its place.`,
    );
  }
  return digest;
}

/** The condition that `blob.digest` is one of `digests`. They are one parameter, so that the statement stays the same. */
export function isOneOf(kind: DatabaseKind, digests: readonly Buffer[]): RawBuilder<boolean> {
  if (kind === 'postgres') return sql<boolean>`blob.digest = any(${digests}::bytea[])`;
  const hex = JSON.stringify(digests.map((digest) => digest.toString('hex')));
  return sql<boolean>`blob.digest in (select unhex(value) from json_each(${hex}))`;
}

/** Where the one parameter of a ListStatement goes: `texts`, a set of texts; `rows`, a table whose column `value` is JSON. */
export interface ListPlace {
  readonly texts: string;
  readonly rows: string;
}

/**
 * A statement about many things at once, which are one parameter, so that it stays the same; it is compiled when it is
 * declared, because boot servers run it for every few messages.
 */
export class ListStatement<Row> {
  readonly #text: Readonly<Record<DatabaseKind, string>>;

  constructor(text: (place: ListPlace) => string) {
    this.#text = {
      sqlite: text({ texts: '(select value from json_each(?))', rows: 'json_each(?)' }),
      postgres: text({
        texts: '(select jsonb_array_elements_text($1::jsonb))',
        rows: 'jsonb_array_elements($1::jsonb) as entry(value)',
      }),
    };
  }

  async run(db: Queries, kind: DatabaseKind, list: readonly unknown[]): Promise<readonly Row[]> {
    return (await db.executeQuery<Row>(CompiledQuery.raw(this.#text[kind], [JSON.stringify(list)]))).rows;
  }
}
