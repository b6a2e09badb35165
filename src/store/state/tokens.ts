import { createHash, randomBytes } from 'node:crypto';
import type { Timestamp, TokenState } from '../records.js';
import type { StateDatabase } from './database.js';

const tokenBytes = 24; // 32 characters of base64url

/** One-time tokens, in the database as SHA-256. Of a node there is the one issued last, and any that was renewed since. */
export class TokenRows implements TokenState {
  readonly #database: StateDatabase;
  readonly #now: () => Timestamp;

  constructor(database: StateDatabase, now: () => Timestamp) {
    this.#database = database;
    this.#now = now;
  }

  async issue(token: {
    node: string;
    generation: string;
    client: string;
    expiresAt: Timestamp;
  }): Promise<string> {
    const secret = randomBytes(tokenBytes).toString('base64url');
    const { node, generation, client, expiresAt } = token;
    const row = { hash: hashOf(secret), node, generation, client, expires_at: expiresAt, used_at: null };
    await this.#database.write(
      async (trx) => {
        await trx
          .deleteFrom('token')
          .where((or) => or.or([or('node', '=', node), or('expires_at', '<=', this.#now())]))
          .execute();
        await trx.insertInto('token').values(row).execute();
      },
      { durable: false },
    );
    return secret;
  }

  async renew(
    secret: string,
    token: { node: string; generation: string; client: string; expiresAt: Timestamp },
  ): Promise<void> {
    const { node, generation, client, expiresAt } = token;
    const row = { hash: hashOf(secret), node, generation, client, expires_at: expiresAt, used_at: null };
    await this.#database.write(
      (trx) =>
        trx
          .insertInto('token')
          .values(row)
          .onConflict((conflict) => conflict.column('hash').doUpdateSet(row))
          .execute(),
      { durable: false },
    );
  }

  /** Durable: a token that was used stays used through a power cut. */
  async consume(token: string, node: string, client: string, now: Timestamp): Promise<boolean> {
    const result = await this.#database.write((trx) =>
      trx
        .updateTable('token')
        .set({ used_at: now })
        .where('hash', '=', hashOf(token))
        .where('node', '=', node)
        .where('client', '=', client)
        .where('expires_at', '>', now)
        .where('used_at', 'is', null)
        .executeTakeFirst(),
    );
    return result.numUpdatedRows > 0n;
  }

  async restore(token: string): Promise<void> {
    await this.#database.write((trx) =>
      trx.updateTable('token').set({ used_at: null }).where('hash', '=', hashOf(token)).execute(),
    );
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
