import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const installed = '/usr/lib/postgresql';

/** A PostgreSQL server of our own: in a temporary directory, on a unix socket, gone after `stop`. */
export class PostgresServer {
  readonly #dir: string;
  readonly #process: ChildProcess;
  #databases = 0;

  private constructor(dir: string, process: ChildProcess) {
    this.#dir = dir;
    this.#process = process;
  }

  static async start(): Promise<PostgresServer> {
    const bin = findPrograms();
    const dir = await mkdtemp(join(tmpdir(), 'rackboot-pg-'));
    const asPostgres = await prepareUser(dir);
    const data = join(dir, 'data');
    const init = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'];
    const [command, ...words] = [...asPostgres, join(bin, 'initdb'), ...init] as [string, ...string[]];
    execFileSync(command, words, { stdio: 'pipe' });
    const settings = [
      'listen_addresses=',
      `unix_socket_directories=${dir}`,
      'fsync=off',
      'max_connections=200',
    ];
    const [server, ...options] = [
      ...asPostgres,
      join(bin, 'postgres'),
      '-D',
      data,
      ...settings.flatMap((setting) => ['-c', setting]),
    ] as [string, ...string[]];
    const child = spawn(server, options, { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    const started = new PostgresServer(dir, child);
    for (let attempt = 1; ; attempt++) {
      try {
        await started.#query('select 1');
        return started;
      } catch (error) {
        if (attempt === 200 || child.exitCode !== null) {
          await started.stop();
          throw new Error(`PostgreSQL did not start: ${log}`, { cause: error });
        }
        await sleep(50);
      }
    }
  }

  /** The URL of a new, empty database. */
  async newDatabase(): Promise<string> {
    const name = `site_${++this.#databases}`;
    await this.#query(`create database ${name}`);
    return this.urlOf(name);
  }

  urlOf(database: string): string {
    return `postgres://postgres:secret@localhost/${database}?host=${encodeURIComponent(this.#dir)}`;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const gone = once(this.#process, 'exit');
      this.#process.kill('SIGINT'); // a fast shutdown
      await gone;
    }
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #query(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.urlOf('postgres') });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query(sql);
    } finally {
      await client.end();
    }
  }
}

function findPrograms(): string {
  const versions = existsSync(installed) ? readdirSync(installed) : [];
  const bin = versions
    .map((version) => join(installed, version, 'bin'))
    .find((dir) => existsSync(join(dir, 'initdb')));
  if (bin === undefined)
    throw new Error('the Debian package postgresql is missing: apt-get install postgresql');
  return bin;
}

/** The command prefix that runs a program as a user PostgreSQL accepts: it does not run as root. */
async function prepareUser(dir: string): Promise<readonly string[]> {
  if (process.getuid?.() !== 0) return [];
  const [uid, gid] = ['-u', '-g'].map((flag) =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })),
  );
  await chown(dir, uid!, gid!);
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', '--pdeathsig=INT', '--'];
}
