import { codeOf, messageOf, RackbootError } from '../../errors.js';
import { fileError, StoreError, type StoreErrorCode } from '../errors.js';

/** What the driver's code looks like, our code for it, and what to say behind the database's name. */
type Rule = readonly [pattern: RegExp, code: StoreErrorCode, complaint: string];

const busy = ': another rackboot has kept it locked for a minute; try again when that one is done.';
const silent = ': the database server does not answer; start it, or mend `database` in rackboot.yaml.';
const refused =
  ': the database server refused the user, the password or the database; mend `database` in rackboot.yaml.';

/** SQLite's result codes; PostgreSQL's SQLSTATEs (its manual, appendix A); and those of the connection to it. */
const rules: readonly Rule[] = [
  [/^SQLITE_BUSY/, 'DATABASE_BUSY', busy],
  [
    /^SQLITE_READONLY/,
    'READ_ONLY',
    ' is read-only: make it and its directory writable, or use a copy of the site.',
  ],
  [/^SQLITE_CANTOPEN/, 'READ_ONLY', ' cannot be opened: make it and its directory readable and writable.'],
  // SHMSIZE: the file beside the database that its processes share could not be made as large as it has to be.
  [/^SQLITE_(?:FULL|IOERR_SHMSIZE)/, 'DISK_FULL', ': no space left; free some on that disk.'],
  [
    /^SQLITE_(?:CORRUPT|NOTADB)/,
    'DATABASE_DAMAGED',
    ' is not a database, or a damaged one; put a backup in its place.',
  ],
  [/^SQLITE_IOERR/, 'IO', ': the disk failed to read or write it; look at the kernel log.'],
  [/^55P03$/, 'DATABASE_BUSY', busy],
  [/^25006$/, 'READ_ONLY', ' is read-only: use the primary server, or a user who may write.'],
  [/^53100$/, 'DISK_FULL', ': the database server has no space left; free some there.'],
  [
    /^(?:57P0\d|08\w{3}|53300|ECONN\w+|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|E\w+UNREACH|EPIPE)$/,
    'DATABASE_UNREACHABLE',
    silent,
  ],
  [/^(?:28\w{3}|3D000|42501)$/, 'DATABASE_UNREACHABLE', refused],
];

/** Errors that the drivers throw without a code, by their text. */
const textRules: readonly Rule[] = [
  [/timeout exceeded when trying to connect|Connection terminated/, 'DATABASE_UNREACHABLE', silent],
  [
    /driver has already been destroyed|pool after calling end/,
    'CLOSED',
    ': used after the store was closed.',
  ],
];

/** What a database driver threw, as a StoreError that names the database; rackboot's own errors stay what they are. */
export function databaseError(error: unknown, database: string): Error {
  if (error instanceof RackbootError) return error;
  const code = codeOf(error) ?? '';
  const text = messageOf(error);
  if (isConnect(error)) return new StoreError('DATABASE_UNREACHABLE', database + silent, { cause: error });
  const rule =
    rules.find(([pattern]) => pattern.test(code)) ?? textRules.find(([pattern]) => pattern.test(text));
  if (rule !== undefined) return new StoreError(rule[1], database + rule[2], { cause: error });
  if (/^E[A-Z]+$/.test(code)) return fileError(error, database);
  if (/^SQLITE_|^[0-9A-Z]{5}$/.test(code)) {
    return new StoreError('DATABASE', `${database}: ${text}`, { cause: error });
  }
  return error instanceof Error ? error : new StoreError('DATABASE', `${database}: ${text}`);
}

function isConnect(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'connect';
}
