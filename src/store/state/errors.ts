import { codeOf, messageOf, RackbootError } from '../../errors.js';
import { fileError, StoreError, type StoreErrorCode } from '../errors.js';

/** What the driver's code looks like, our code for it, and what to say behind the database's name. */
type Rule = readonly [pattern: RegExp, code: StoreErrorCode, complaint: string];

const rules: readonly Rule[] = [
  [
    /^SQLITE_BUSY/,
    'DATABASE_BUSY',
    ': another rackboot has kept it locked for a minute; try again when that one is done.',
  ],
  [
    /^SQLITE_READONLY/,
    'READ_ONLY',
    ' is read-only: make it and its directory writable, or use a copy of the site.',
  ],
  [/^SQLITE_CANTOPEN/, 'READ_ONLY', ' cannot be opened: make it and its directory readable and writable.'],
  [/^SQLITE_FULL/, 'DISK_FULL', ': no space left; free some on that disk, or run: rackboot gc'],
  [
    /^SQLITE_(?:CORRUPT|NOTADB)/,
    'DATABASE_DAMAGED',
    ' is not a database, or a damaged one; put a backup in its place.',
  ],
  [/^SQLITE_IOERR/, 'IO', ': the disk failed to read or write it; look at the kernel log.'],
  [
    /^55P03$/,
    'DATABASE_BUSY',
    ': another rackboot has kept it locked for a minute; try again when that one is done.',
  ],
  [/^25006$/, 'READ_ONLY', ' is read-only: use the primary server, or a user who may write.'],
  [/^53100$/, 'DISK_FULL', ': the database server has no space left; free some there.'],
  [
    /^(?:ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|57P0\d|08\w{3}|53300)$/,
    'DATABASE_UNREACHABLE',
    ': the database server does not answer; start it, or mend `database` in rackboot.yaml.',
  ],
  [
    /^(?:28\w{3}|3D000|42501)$/,
    'DATABASE_UNREACHABLE',
    ': the database server refused the user, the password or the database; mend `database` in rackboot.yaml.',
  ],
];

/** What a database driver threw, as a StoreError that names the database; rackboot's own errors stay what they are. */
export function databaseError(error: unknown, database: string): Error {
  if (error instanceof RackbootError) return error;
  const code = codeOf(error) ?? '';
  const rule = rules.find(([pattern]) => pattern.test(code));
  if (rule !== undefined) return new StoreError(rule[1], database + rule[2], { cause: error });
  if (/^E[A-Z]+$/.test(code)) return fileError(error, database);
  if (
    error instanceof Error &&
    /timeout exceeded when trying to connect|Connection terminated/i.test(error.message)
  ) {
    return new StoreError(
      'DATABASE_UNREACHABLE',
      `${database}: the database server does not answer; start it.`,
      { cause: error },
    );
  }
  if (
    error instanceof Error &&
    /driver has already been destroyed|pool after calling end/.test(error.message)
  ) {
    return new StoreError('CLOSED', `${database}: used after the store was closed.`, { cause: error });
  }
  if (/^SQLITE_|^[0-9A-Z]{5}$/.test(code)) {
    return new StoreError('DATABASE', `${database}: ${messageOf(error)}`, { cause: error });
  }
  return error instanceof Error ? error : new StoreError('DATABASE', `${database}: ${messageOf(error)}`);
}
