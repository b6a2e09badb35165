import { Kysely, Migrator, PostgresDialect, sql, type Transaction } from 'kysely';
import { codeOf } from '../../errors.js';
import { StoreError } from '../errors.js';
import { databaseError } from './errors.js';
import { LogSync } from './log-sync.js';
import { migrationsFor, type DatabaseKind } from './migrations.js';
import { SqliteFileDialect } from './sqlite.js';
import type { Queries, Tables } from './tables.js';

const migrationAttempts = 20;

/** What a transaction that has committed did, and when a power cut cannot undo it any more. */
export interface Ahead<T> {
  readonly value: T;
  readonly durable: Promise<void>; // rejects with StoreError when the disk refuses it
}

/** Where the state is kept: a SQLite file, or a PostgreSQL server by its URL. */
export type DatabaseAddress =
  { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'postgres'; readonly url: string };

/**
 * The database of a site, open and migrated. `write` transactions of all processes run one after another, in SQLite by
 * its write lock and in PostgreSQL by an advisory one, so that what a transaction has seen still holds when it commits.
 */
export class StateDatabase {
  readonly kind: DatabaseKind;
  readonly name: string; // what errors call it: the file, or the URL without its user
  readonly isFrozen: boolean; // opened as it lies, to be read alone
  readonly #db: Kysely<Tables>;
  readonly #reader: Kysely<Tables>;
  readonly #log: LogSync | undefined; // of SQLite's write-ahead log
  #commitsWait = true; // SQLite's: for the disk

  private constructor(
    kind: DatabaseKind,
    name: string,
    db: Kysely<Tables>,
    reader: Kysely<Tables>,
    { isFrozen = false, log }: { readonly isFrozen?: boolean; readonly log?: LogSync } = {},
  ) {
    this.kind = kind;
    this.name = name;
    this.#db = db;
    this.#reader = reader;
    this.isFrozen = isFrozen;
    this.#log = log;
  }

  /**
   * Opens the database, making it when it is missing and migrating it when it is old; any number of processes may do
   * so at once. Throws StoreError DATABASE_NEWER, READ_ONLY, DATABASE_DAMAGED, DATABASE_UNREACHABLE.
   */
  static async open(address: DatabaseAddress): Promise<StateDatabase> {
    const opened =
      address.kind === 'sqlite' ? StateDatabase.#sqlite(address.path) : StateDatabase.#postgres(address.url);
    try {
      await opened.#migrate();
    } catch (error) {
      await opened.close().catch(() => undefined);
      throw databaseError(error, opened.name);
    }
    return opened;
  }

  /**
   * Opens a SQLite file that cannot be written, as it is: every `write` is StoreError READ_ONLY. Throws StoreError
   * READ_ONLY when there is none, or one that has to be migrated first; DATABASE_NEWER, DATABASE_DAMAGED.
   */
  static async openFrozen(path: string): Promise<StateDatabase> {
    const db = new Kysely<Tables>({ dialect: new SqliteFileDialect(path, 'frozen') });
    const opened = new StateDatabase('sqlite', path, db, db, { isFrozen: true });
    try {
      if (!(await opened.#isCurrent())) throw readOnly(path, 'is of an older rackboot and read-only');
    } catch (error) {
      await opened.close().catch(() => undefined);
      throw databaseError(error, path);
    }
    return opened;
  }

  /** Two connections: one reads on while the other waits for the write lock, or holds it. */
  static #sqlite(path: string): StateDatabase {
    const db = new Kysely<Tables>({ dialect: new SqliteFileDialect(path, 'write') });
    const reader = new Kysely<Tables>({ dialect: new SqliteFileDialect(path, 'read') });
    return new StateDatabase('sqlite', path, db, reader, { log: new LogSync(`${path}-wal`) });
  }

  static #postgres(url: string): StateDatabase {
    const db = new Kysely<Tables>({
      dialect: new PostgresDialect({ pool: async () => (await import('./postgres.js')).postgresPool(url) }),
    });
    return new StateDatabase('postgres', withoutSecrets(url), db, db);
  }

  /** Runs queries that change nothing. Several of them may see different states. */
  async read<T>(body: (db: Queries) => Promise<T>): Promise<T> {
    try {
      return await body(this.#reader);
    } catch (error) {
      throw databaseError(error, this.name);
    }
  }

  /**
   * Runs `body` in a transaction of its own, which nothing else writes beside; it commits when `body` returns and
   * leaves nothing when it throws. `body` may only await queries. One that is not `durable` may be lost in a power cut
   * unless a durable one came after it.
   */
  async write<T>(
    body: (trx: Transaction<Tables>) => Promise<T>,
    options: { durable: boolean } = { durable: true },
  ): Promise<T> {
    if (this.isFrozen) throw readOnly(this.name, 'is read-only');
    try {
      return await (this.kind === 'sqlite'
        ? this.#writeSqlite(body, options)
        : this.#writePostgres(body, options));
    } catch (error) {
      throw databaseError(error, this.name);
    }
  }

  /**
   * Runs `body` as `write` does, and comes back when it has committed: all others see it, and a crash of this process
   * leaves it. Only what is said to others has to wait until it is durable; docs/decisions/0028-durable-acks.md.
   */
  async writeAhead<T>(body: (trx: Transaction<Tables>) => Promise<T>): Promise<Ahead<T>> {
    const log = this.#log;
    const value = await this.write(body, { durable: log === undefined });
    const durable = log === undefined ? Promise.resolve() : this.#reached(log);
    durable.catch(() => undefined); // whoever does not wait for it has no use for the error
    return { value, durable };
  }

  async #reached(log: LogSync): Promise<void> {
    try {
      await log.reached();
    } catch (error) {
      throw databaseError(error, this.name);
    }
  }

  async close(): Promise<void> {
    await this.#log?.close();
    await this.#reader.destroy();
    if (this.#db !== this.#reader) await this.#db.destroy();
  }

  #writeSqlite<T>(body: (trx: Transaction<Tables>) => Promise<T>, options: { durable: boolean }): Promise<T> {
    return this.#db.connection().execute(async (connection) => {
      await this.#syncCommits(connection, options.durable);
      return connection.transaction().execute(body);
    });
  }

  /** Has commits of `connection`, the one that writes, wait for the disk, or not. */
  async #syncCommits(connection: Kysely<Tables>, waits: boolean): Promise<void> {
    if (this.#commitsWait === waits) return;
    await (waits ? sql`pragma synchronous = full` : sql`pragma synchronous = normal`).execute(connection);
    this.#commitsWait = waits;
  }

  #writePostgres<T>(
    body: (trx: Transaction<Tables>) => Promise<T>,
    options: { durable: boolean },
  ): Promise<T> {
    return this.#db.transaction().execute(async (trx) => {
      await sql`select pg_advisory_xact_lock(${sql.lit(0x7261636b)}, ${sql.lit(0x626f6f74)})`.execute(trx);
      if (!options.durable) await sql`set local synchronous_commit to off`.execute(trx);
      return body(trx);
    });
  }

  /** Whether nothing is left to migrate. Throws StoreError DATABASE_NEWER. */
  async #isCurrent(): Promise<boolean> {
    const migrations = migrationsFor(this.kind);
    const applied = await this.#appliedMigrations();
    const unknown = applied.find((name) => migrations[name] === undefined);
    if (unknown !== undefined) {
      throw new StoreError(
        'DATABASE_NEWER',
        `${this.name}: written by a newer rackboot (it has '${unknown}'); use that version, or a backup from before it.`,
      );
    }
    return applied.length === Object.keys(migrations).length;
  }

  async #migrate(): Promise<void> {
    if (await this.#isCurrent()) return;
    const migrations = migrationsFor(this.kind);
    const migrator = new Migrator({ db: this.#db, provider: { getMigrations: async () => migrations } });
    for (let attempt = 1; ; attempt++) {
      const { error } = await migrator.migrateToLatest();
      if (error === undefined) return;
      // Several processes making the migrator's own tables at once can trip each other up.
      if (attempt === migrationAttempts || !isRace(error)) throw databaseError(error, this.name);
    }
  }

  /** Names of the applied migrations; none in a new database. */
  async #appliedMigrations(): Promise<string[]> {
    const tables = await this.#db.introspection.getTables({ withInternalKyselyTables: true });
    if (!tables.some((table) => table.name === 'kysely_migration')) return [];
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(
      this.#db,
    );
    return rows.map((row) => row.name);
  }
}

function isRace(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return /^(?:SQLITE_ERROR|SQLITE_SCHEMA|SQLITE_CONSTRAINT.*|23505|42P07|40001|40P01)$/.test(code);
}

function readOnly(name: string, what: string): StoreError {
  return new StoreError(
    'READ_ONLY',
    `${name} ${what}: make it and its directory writable, or use a copy of the site.`,
  );
}

function withoutSecrets(url: string): string {
  const parsed = new URL(url);
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}
