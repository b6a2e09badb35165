import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import SqliteDatabase, { type Database, type Statement } from 'better-sqlite3';
import {
  CompiledQuery,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
} from 'kysely';
import { codeOf } from '../../errors.js';
import { StoreError } from '../errors.js';

/** What a connection is for; `frozen`: to read a file in a directory that cannot be written. */
export type SqliteUse = 'read' | 'write' | 'frozen';

const patienceMs = 60_000;
const keptStatements = 200;
/** Pages that gather in the write-ahead log before they move into the database, which waits for the disk twice: 16 MiB. */
const LOG_PAGES = 4096;

/**
 * kysely over one SQLite file, made for several processes: transactions take the write lock when they begin
 * (BEGIN IMMEDIATE), and a lock that another process or another connection holds is waited for without blocking the
 * event loop, which SQLite's own busy_timeout would. DDL is transactional, so that several processes may migrate at once.
 */
export class SqliteFileDialect implements Dialect {
  readonly #path: string;
  readonly #use: SqliteUse;

  constructor(path: string, use: SqliteUse) {
    this.#path = path;
    this.#use = use;
  }

  createDriver(): Driver {
    return new SqliteFileDriver(this.#path, this.#use);
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): SqliteAdapter {
    return new TransactionalDdlAdapter();
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class SqliteFileDriver implements Driver {
  readonly #path: string;
  readonly #use: SqliteUse;
  #connection: SqliteConnection | undefined;
  #users: Promise<void> = Promise.resolve();
  #free: (() => void) | undefined;

  constructor(path: string, use: SqliteUse) {
    this.#path = path;
    this.#use = use;
  }

  async init(): Promise<void> {
    if (this.#use === 'frozen') {
      this.#connection = new SqliteConnection(openFrozen(this.#path));
      return;
    }
    makePrivateFile(this.#path);
    const database = new SqliteDatabase(this.#path, { timeout: 0 });
    try {
      await waitingForLocks(() => database.pragma('journal_mode = WAL'));
      database.pragma('synchronous = FULL');
      database.pragma(`wal_autocheckpoint = ${LOG_PAGES}`);
      database.pragma('foreign_keys = ON');
      if (this.#use === 'read') database.pragma('query_only = ON');
    } catch (error) {
      database.close();
      throw error;
    }
    this.#connection = new SqliteConnection(database);
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#users;
    let free = (): void => undefined;
    this.#users = new Promise((resolve) => {
      free = resolve;
    });
    await before;
    this.#free = free;
    if (this.#connection === undefined)
      throw new StoreError('CLOSED', `${this.#path}: used after it was closed`);
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    this.#free?.();
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // SQLite has rolled back already after some errors, such as a full disk.
    if (this.#connection?.inTransaction === true)
      await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async destroy(): Promise<void> {
    await this.#users;
    this.#connection?.close();
    this.#connection = undefined;
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
  }

  get inTransaction(): boolean {
    return this.#database.inTransaction;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    return waitingForLocks(() => {
      const statement = this.#prepare(query.sql);
      if (statement.reader) return { rows: statement.all(query.parameters) as Row[] };
      const { changes, lastInsertRowid } = statement.run(query.parameters);
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
    });
  }

  // eslint-disable-next-line require-yield -- part of kysely's interface; the store reads in pages instead
  async *streamQuery(): AsyncGenerator<never> {
    throw new StoreError('DATABASE', 'rows are read in pages here, not streamed.');
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepare(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      if (this.#statements.size >= keptStatements) this.#statements.clear();
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/**
 * Opens a database in a directory that cannot be written. SQLite reads one in WAL mode there only with the -wal and
 * -shm files of a process that uses it (sqlite.org/wal.html, "Read-Only Databases"); without them it is read as it
 * lies, from a copy in memory whose header says that it has no WAL (fileformat2.html, offsets 18 and 19).
 */
function openFrozen(path: string): Database {
  const wal = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (wal !== undefined && wal.size > 0) return new SqliteDatabase(path, { readonly: true, timeout: 0 });
  const copy = readFileSync(path);
  copy.fill(1, 18, 20);
  return new SqliteDatabase(copy, { readonly: true });
}

/**
 * Makes the file unless it is there: SQLite would make it, and with it its -wal and -shm files, readable by everyone.
 * One that is there is not opened, since closing it would drop the locks of this process (sqlite.org/howtocorrupt §2.2).
 */
function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

/** Runs `work` again, with growing pauses, while SQLite says that someone else holds the lock it needs. */
async function waitingForLocks<T>(work: () => T): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (let pause = 1; ; pause = Math.min(pause * 1.5, 25)) {
    try {
      return work();
    } catch (error) {
      if (codeOf(error)?.startsWith('SQLITE_BUSY') !== true || performance.now() > deadline) throw error;
    }
    await sleep(pause * (0.5 + Math.random()));
  }
}
