import type { Transaction } from 'kysely';
import type { AddressBook, AddressLease, AddressState, Timestamp } from '../records.js';
import { BookInHand } from './address-book.js';
import { leaseOf, numberOf } from './address-rows.js';
import type { Ahead, StateDatabase } from './database.js';
import type { Tables } from './tables.js';

/**
 * Addresses out of DHCP pools, in the database. A row stands for an address that was ever given out; it is never
 * deleted, so that a client that comes back finds its own as long as nobody else needed it.
 */
export class AddressRows implements AddressState {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async settle<T>(
    macs: readonly string[],
    now: Timestamp,
    body: (book: AddressBook) => Promise<T>,
    options: { readonly durable: boolean } = { durable: true },
  ): Promise<T> {
    return this.#database.write((trx) => this.#settleIn(trx, macs, now, body), options);
  }

  async settleAhead<T>(
    macs: readonly string[],
    now: Timestamp,
    body: (book: AddressBook) => Promise<T>,
  ): Promise<Ahead<T>> {
    return this.#database.writeAhead((trx) => this.#settleIn(trx, macs, now, body));
  }

  async ofNodes(now: Timestamp): Promise<readonly AddressLease[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('dhcp_address')
        .selectAll()
        .where('state', 'in', ['bound', 'declined'])
        .where('expires_at', '>', now)
        .orderBy('address')
        .execute();
      return rows.flatMap(leaseOf);
    });
  }

  async ofNode(node: string, now: Timestamp): Promise<AddressLease | undefined> {
    return this.#bound('node', node, now);
  }

  async at(address: string, now: Timestamp): Promise<AddressLease | undefined> {
    return this.#bound('address', numberOf(address), now);
  }

  async #settleIn<T>(
    trx: Transaction<Tables>,
    macs: readonly string[],
    now: Timestamp,
    body: (book: AddressBook) => Promise<T>,
  ): Promise<T> {
    const book = await BookInHand.open(trx, this.#database.kind, macs, now);
    const result = await body(book);
    await book.write();
    return result;
  }

  async #bound(
    column: 'node' | 'address',
    value: string | number,
    now: Timestamp,
  ): Promise<AddressLease | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('dhcp_address')
        .selectAll()
        .where(column, '=', value)
        .where('state', '=', 'bound')
        .where('expires_at', '>', now)
        .orderBy('expires_at', 'desc')
        .executeTakeFirst();
      return row && leaseOf(row)[0];
    });
  }
}
