import { sql, type RawBuilder, type SqlBool } from 'kysely';
import { asDigest, type Digest } from '../digest.js';
import { StoreError } from '../errors.js';
import type { DatabaseKind } from './migrations.js';

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

/** The condition that the text `column` is one of `texts`. They are one parameter, so that the statement stays the same. */
export function isAmong(kind: DatabaseKind, column: string, texts: readonly string[]): RawBuilder<SqlBool> {
  const name = sql.ref(column);
  if (kind === 'postgres') return sql<SqlBool>`${name} = any(${texts}::text[])`;
  return sql<SqlBool>`${name} in (select value from json_each(${JSON.stringify(texts)}))`;
}

/** `rows` as one parameter: a table whose column `value` is each of them as a JSON array. */
export function jsonRows(kind: DatabaseKind, rows: readonly (readonly unknown[])[]): RawBuilder<unknown> {
  const json = JSON.stringify(rows);
  return kind === 'postgres'
    ? sql`jsonb_array_elements(${json}::jsonb) as entry(value)`
    : sql`json_each(${json})`;
}
