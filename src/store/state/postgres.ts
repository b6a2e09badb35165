import pg from 'pg';

const int8 = 20; // pg_type oid of bigint, which pg would hand out as a string

/**
 * Connections to the PostgreSQL server at `url`. They keep no process alive, give up connecting after ten seconds and
 * waiting for a lock after sixty; a connection that breaks while idle is replaced at its next use.
 */
export function postgresPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: 5,
    connectionTimeoutMillis: 10_000,
    lock_timeout: 60_000,
    allowExitOnIdle: true,
    application_name: 'rackboot',
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === int8 ? Number : (pg.types.getTypeParser(oid, format) as (value: string) => unknown),
    },
  });
  pool.on('error', () => undefined);
  return pool;
}
