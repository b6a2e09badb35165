import type { Transaction } from 'kysely';
import type { AddressClaim, AddressLease, AddressRange, AddressState, Timestamp } from '../records.js';
import type { StateDatabase } from './database.js';
import type { DhcpAddressTable, Queries, Row, Tables } from './tables.js';

/** Candidates looked at before a pool counts as full: as many of its addresses may be reserved for nodes. */
const MOST_CANDIDATES = 4096;

/** How long a node's reservation inside a pool is passed over before it is looked at again, in milliseconds. */
const RESERVED_MS = 3_600_000;

/**
 * Addresses out of DHCP pools, in the database. A row stands for an address that was ever given out; it is never
 * deleted, so that a client that comes back finds its own as long as nobody else needed it.
 */
export class AddressRows implements AddressState {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async claim(claim: AddressClaim): Promise<AddressLease | undefined> {
    return this.#database.write((trx) => claimIn(trx, claim), { durable: false });
  }

  async bind(address: string, mac: string, until: Timestamp): Promise<boolean> {
    const result = await this.#database.write((trx) =>
      trx
        .updateTable('dhcp_address')
        .set({ state: 'bound', expires_at: until })
        .where('address', '=', numberOf(address))
        .where('mac', '=', mac)
        .where('state', 'in', ['offered', 'bound'])
        .executeTakeFirst(),
    );
    return result.numUpdatedRows > 0n;
  }

  async release(address: string, mac: string, now: Timestamp): Promise<void> {
    await this.#end(address, mac, { state: 'offered', expires_at: now });
  }

  async decline(address: string, mac: string, until: Timestamp): Promise<void> {
    await this.#end(address, mac, { state: 'declined', expires_at: until });
  }

  async ofMac(mac: string, now: Timestamp): Promise<readonly AddressLease[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('dhcp_address')
        .selectAll()
        .where('mac', '=', mac)
        .where('state', '=', 'bound')
        .where('expires_at', '>', now)
        .orderBy('address')
        .execute();
      return rows.flatMap(leaseOf);
    });
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

  async #end(
    address: string,
    mac: string,
    values: { state: 'offered' | 'declined'; expires_at: Timestamp },
  ): Promise<void> {
    await this.#database.write((trx) =>
      trx
        .updateTable('dhcp_address')
        .set(values)
        .where('address', '=', numberOf(address))
        .where('mac', '=', mac)
        .execute(),
    );
  }
}

type AddressRow = Row<DhcpAddressTable>;

async function claimIn(trx: Transaction<Tables>, claim: AddressClaim): Promise<AddressLease | undefined> {
  const { mac, node, now, until } = claim;
  const own = await trx
    .selectFrom('dhcp_address')
    .selectAll()
    .where('mac', '=', mac)
    .where('state', '!=', 'declined')
    .orderBy('expires_at', 'desc')
    .execute();
  for (const row of own) {
    if (!isIn(claim.ranges, row.address) || (await isReserved(trx, row.address))) continue;
    const isBound = row.state === 'bound' && row.expires_at > now;
    const kept = {
      node,
      state: isBound ? row.state : ('offered' as const),
      expires_at: isBound ? row.expires_at : until,
    };
    await trx.updateTable('dhcp_address').set(kept).where('address', '=', row.address).execute();
    return leaseOf({ ...row, ...kept })[0];
  }
  for (let tried = 0; tried < MOST_CANDIDATES; tried += 1) {
    const address = await freeAddress(trx, claim, tried === 0);
    if (address === undefined) return undefined;
    const reserved = await isReserved(trx, address);
    const values = reserved
      ? { mac: '', node: '', state: 'reserved' as const, expires_at: now + RESERVED_MS }
      : { mac, node, state: 'offered' as const, expires_at: until };
    await trx
      .insertInto('dhcp_address')
      .values({ address, ...values })
      .onConflict((conflict) => conflict.column('address').doUpdateSet(values))
      .execute();
    if (!reserved) return leaseOf({ address, ...values })[0];
  }
  return undefined;
}

/** The wanted address when nobody has it, else one never given, else the one that has been free longest. */
async function freeAddress(
  trx: Queries,
  { ranges, wanted, now }: AddressClaim,
  mayWant: boolean,
): Promise<number | undefined> {
  const asked = wanted === null ? undefined : numberOf(wanted);
  if (mayWant && asked !== undefined && isIn(ranges, asked)) {
    const row = await trx
      .selectFrom('dhcp_address')
      .select('expires_at')
      .where('address', '=', asked)
      .executeTakeFirst();
    if (row === undefined || row.expires_at <= now) return asked;
  }
  for (const range of ranges) {
    const never = await neverGiven(trx, numberOf(range.first), numberOf(range.last));
    if (never !== undefined) return never;
  }
  const free = await trx
    .selectFrom('dhcp_address')
    .select('address')
    .where((or) =>
      or.or(
        ranges.map(({ first, last }) =>
          or.and([or('address', '>=', numberOf(first)), or('address', '<=', numberOf(last))]),
        ),
      ),
    )
    .where('expires_at', '<=', now)
    .orderBy('expires_at')
    .orderBy('address')
    .limit(1)
    .executeTakeFirst();
  return free?.address;
}

/** The address after the highest given in the range, else the first gap in it. */
async function neverGiven(trx: Queries, first: number, last: number): Promise<number | undefined> {
  const { highest } = await trx
    .selectFrom('dhcp_address')
    .select((of) => of.fn.max('address').as('highest'))
    .where('address', '>=', first)
    .where('address', '<=', last)
    .executeTakeFirstOrThrow();
  if (highest === null) return first;
  if (highest < last) return highest + 1;
  const { given } = await trx
    .selectFrom('dhcp_address')
    .select((of) => of.fn.countAll<number>().as('given'))
    .where('address', '>=', first)
    .where('address', '<=', last)
    .executeTakeFirstOrThrow();
  if (Number(given) > last - first) return undefined;
  const lowest = await trx
    .selectFrom('dhcp_address')
    .select('address')
    .where('address', '=', first)
    .executeTakeFirst();
  if (lowest === undefined) return first;
  const gap = await trx
    .selectFrom('dhcp_address as given')
    .select('given.address')
    .where('given.address', '>=', first)
    .where('given.address', '<', last)
    .where((of) =>
      of.not(
        of.exists(
          of
            .selectFrom('dhcp_address as next')
            .select('next.address')
            .where('next.address', '=', of('given.address', '+', 1)),
        ),
      ),
    )
    .orderBy('given.address')
    .limit(1)
    .executeTakeFirst();
  return gap && gap.address + 1;
}

async function isReserved(trx: Queries, address: number): Promise<boolean> {
  const row = await trx
    .selectFrom('node')
    .select('name')
    .where('ip', '=', textOf(address))
    .executeTakeFirst();
  return row !== undefined;
}

function isIn(ranges: readonly AddressRange[], address: number): boolean {
  return ranges.some(({ first, last }) => numberOf(first) <= address && address <= numberOf(last));
}

function leaseOf(row: AddressRow): AddressLease[] {
  if (row.state === 'reserved') return [];
  const { mac, node, state, expires_at: expiresAt } = row;
  return [{ address: textOf(row.address), mac, node, state, expiresAt }];
}

/** Addresses are numbers in the database, in their order. */
function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}
