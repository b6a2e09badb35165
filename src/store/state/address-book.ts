import type { Transaction } from 'kysely';
import type { AddressBook, AddressClaim, AddressLease, AddressRange, Timestamp } from '../records.js';
import { type AddressRow, addressText, isInRanges, leaseOf, numberOf } from './address-rows.js';
import type { DatabaseKind } from './migrations.js';
import { ListStatement } from './rows.js';
import type { NodeTable, Queries, Row, Tables } from './tables.js';

/** Candidates looked at before a pool counts as full: as many of its addresses may be reserved for nodes. */
const MOST_CANDIDATES = 4096;

/** How long a node's reservation inside a pool is passed over before it is looked at again, in milliseconds. */
const RESERVED_MS = 3_600_000;

/** Addresses never given that are looked up at one time. */
const STRETCH = 256;

/** Addresses of a range that were never given and are nobody's reservation unless `reserved` holds them. */
interface Stretch {
  next: number;
  readonly end: number; // behind the last
  readonly reserved: ReadonlySet<number>;
}

const rowsOfMacs = new ListStatement<AddressRow>(
  ({ texts }) => `select address, mac, node, state, expires_at from dhcp_address where mac in ${texts}`,
);

const putRows = new ListStatement<never>(
  ({ rows }) => `
    insert into dhcp_address (address, mac, node, state, expires_at)
    select cast(value->>0 as bigint), value->>1, value->>2, value->>3, cast(value->>4 as bigint)
    from ${rows} where true
    on conflict (address) do update set mac = excluded.mac, node = excluded.node, state = excluded.state,
      expires_at = excluded.expires_at`,
);

/** For rows whose interface and node stay: the indexes of those are left alone. */
const renewRows = new ListStatement<never>(
  ({ rows }) => `
    update dhcp_address set state = value->>1, expires_at = cast(value->>2 as bigint)
    from ${rows} where dhcp_address.address = cast(value->>0 as bigint)`,
);

const reservations = new ListStatement<Pick<Row<NodeTable>, 'ip'>>(
  ({ texts }) => `select ip from node where ip in ${texts}`,
);

/**
 * The rows of some interfaces, in memory for as long as a transaction lasts: many claims cost a few statements. What
 * changed is written when `write` is called, and before the database is asked for free addresses.
 */
export class BookInHand implements AddressBook {
  readonly #trx: Transaction<Tables>;
  readonly #kind: DatabaseKind;
  readonly #now: Timestamp;
  readonly #rows = new Map<number, AddressRow>();
  readonly #byMac = new Map<string, Set<number>>();
  readonly #reserved: Set<number>;
  readonly #changed = new Map<number, 'put' | 'renewed'>();
  readonly #stretches = new Map<number, Stretch | undefined>(); // by a range's first address; undefined: used up

  private constructor(
    trx: Transaction<Tables>,
    kind: DatabaseKind,
    now: Timestamp,
    rows: readonly AddressRow[],
    reserved: Set<number>,
  ) {
    this.#trx = trx;
    this.#kind = kind;
    this.#now = now;
    this.#reserved = reserved;
    for (const row of rows) this.#take(row);
  }

  /** The book of the interfaces `macs` as it is at `now`, in the write transaction `trx`. */
  static async open(
    trx: Transaction<Tables>,
    kind: DatabaseKind,
    macs: readonly string[],
    now: Timestamp,
  ): Promise<BookInHand> {
    const rows = await rowsOfMacs.run(trx, kind, [...new Set(macs)]);
    return new BookInHand(
      trx,
      kind,
      now,
      rows,
      await reservedAmong(
        trx,
        kind,
        rows.map(({ address }) => address),
      ),
    );
  }

  async claim(claim: AddressClaim): Promise<AddressLease | undefined> {
    const own = this.#rowsOf(claim.mac).find(
      ({ state, address }) =>
        state !== 'declined' && isInRanges(claim.ranges, address) && !this.#reserved.has(address),
    );
    const { mac, node, until } = claim;
    if (own !== undefined) {
      const isBound = own.state === 'bound' && own.expires_at > this.#now;
      if (isBound && own.node === node) return leaseOf(own)[0];
      if (isBound) return this.#put({ ...own, node });
      return this.#put({ address: own.address, mac, node, state: 'offered', expires_at: until });
    }
    if (claim.most !== undefined && (await this.#countOf(claim)) >= claim.most) return undefined;
    for (let tried = 0; tried < MOST_CANDIDATES; tried += 1) {
      const address = await this.#freeAddress(claim, tried === 0);
      if (address === undefined) return undefined;
      if (!this.#reserved.has(address))
        return this.#put({ address, mac, node, state: 'offered', expires_at: until });
      this.#put({ address, mac: '', node: '', state: 'reserved', expires_at: this.#now + RESERVED_MS });
    }
    return undefined;
  }

  ofMac(mac: string): readonly AddressLease[] {
    return this.#rowsOf(mac)
      .filter(({ state, expires_at: until }) => state === 'bound' && until > this.#now)
      .flatMap(leaseOf);
  }

  bind(address: string, mac: string, until: Timestamp): boolean {
    const row = this.#rowOf(address, mac);
    if (row === undefined || row.state === 'declined') return false;
    this.#put({ ...row, state: 'bound', expires_at: until });
    return true;
  }

  release(address: string, mac: string): void {
    const row = this.#rowOf(address, mac);
    if (row !== undefined) this.#put({ ...row, state: 'offered', expires_at: this.#now });
  }

  decline(address: string, mac: string, until: Timestamp): void {
    const row = this.#rowOf(address, mac);
    if (row !== undefined) this.#put({ ...row, state: 'declined', expires_at: until });
  }

  /** Writes what changed since the last time. */
  async write(): Promise<void> {
    if (this.#changed.size === 0) return;
    const put: unknown[] = [];
    const renewed: unknown[] = [];
    for (const [address, change] of this.#changed) {
      const row = this.#rows.get(address);
      if (row === undefined) continue;
      const { mac, node, state, expires_at: end } = row;
      if (change === 'put') put.push([address, mac, node, state, end]);
      else renewed.push([address, state, end]);
    }
    if (put.length > 0) await putRows.run(this.#trx, this.#kind, put);
    if (renewed.length > 0) await renewRows.run(this.#trx, this.#kind, renewed);
    this.#changed.clear();
  }

  #put(row: AddressRow): AddressLease | undefined {
    const { address, mac, node } = row;
    const before = this.#rows.get(address);
    const isRenewed = before?.mac === mac && before.node === node && this.#changed.get(address) !== 'put';
    this.#take(row);
    this.#changed.set(address, isRenewed ? 'renewed' : 'put');
    return leaseOf(row)[0];
  }

  #take(row: AddressRow): void {
    const { address, mac } = row;
    const before = this.#rows.get(address);
    if (before !== undefined && before.mac !== mac) this.#byMac.get(before.mac)?.delete(address);
    this.#rows.set(address, row);
    const own = this.#byMac.get(mac);
    if (own === undefined) this.#byMac.set(mac, new Set([address]));
    else own.add(address);
  }

  #rowOf(address: string, mac: string): AddressRow | undefined {
    const row = this.#rows.get(numberOf(address));
    return row?.mac === mac ? row : undefined;
  }

  /** The interface's rows, those that lasted longest first. */
  #rowsOf(mac: string): readonly AddressRow[] {
    return [...(this.#byMac.get(mac) ?? [])]
      .flatMap((address) => this.#rows.get(address) ?? [])
      .sort((one, other) => other.expires_at - one.expires_at);
  }

  /** How many addresses of its ranges the claim's node has now. */
  async #countOf({ node, ranges }: AddressClaim): Promise<number> {
    await this.write();
    const rows = await this.#trx
      .selectFrom('dhcp_address')
      .select('address')
      .where('node', '=', node)
      .where('state', 'in', ['offered', 'bound'])
      .where('expires_at', '>', this.#now)
      .execute();
    return rows.filter(({ address }) => isInRanges(ranges, Number(address))).length;
  }

  /** The wanted address when nobody has it, else one never given, else the one that has been free longest. */
  async #freeAddress({ ranges, wanted }: AddressClaim, mayWant: boolean): Promise<number | undefined> {
    if (mayWant && wanted !== null) {
      const asked = numberOf(wanted);
      if (isInRanges(ranges, asked) && (await this.#isFree(asked))) return asked;
    }
    for (const range of ranges) {
      const never = await this.#neverGiven(range);
      if (never !== undefined) return never;
    }
    await this.write();
    const free = await longestFree(this.#trx, ranges, this.#now);
    return free && (await this.#learn(free));
  }

  async #isFree(address: number): Promise<boolean> {
    await this.#learn(address);
    const row = this.#rows.get(address);
    return row === undefined || row.expires_at <= this.#now;
  }

  /** Looks `address` up, unless it is in hand. */
  async #learn(address: number): Promise<number> {
    if (this.#rows.has(address)) return address;
    const row = await this.#trx
      .selectFrom('dhcp_address')
      .selectAll()
      .where('address', '=', address)
      .executeTakeFirst();
    if (row !== undefined) this.#take(row);
    for (const reserved of await reservedAmong(this.#trx, this.#kind, [address]))
      this.#reserved.add(reserved);
    return address;
  }

  /** The address after the highest given in the range, else the first gap in it. */
  async #neverGiven(range: AddressRange): Promise<number | undefined> {
    const [first, last] = [numberOf(range.first), numberOf(range.last)];
    for (;;) {
      let stretch = this.#stretches.get(first);
      if (stretch === undefined) {
        if (this.#stretches.has(first)) return undefined;
        await this.write();
        stretch = await neverGivenIn(this.#trx, this.#kind, first, last);
        this.#stretches.set(first, stretch);
        if (stretch === undefined) return undefined;
      }
      while (stretch.next < stretch.end && this.#rows.has(stretch.next)) stretch.next += 1;
      if (stretch.next < stretch.end) {
        const address = stretch.next++;
        if (stretch.reserved.has(address)) this.#reserved.add(address);
        return address;
      }
      this.#stretches.delete(first);
    }
  }
}

/** Addresses of a range that were never given: behind the highest given, else in the first gap. */
async function neverGivenIn(
  trx: Queries,
  kind: DatabaseKind,
  first: number,
  last: number,
): Promise<Stretch | undefined> {
  const within = await trx
    .selectFrom('dhcp_address')
    .select((of) => [of.fn.max('address').as('highest'), of.fn.countAll<number>().as('given')])
    .where('address', '>=', first)
    .where('address', '<=', last)
    .executeTakeFirstOrThrow();
  const { highest } = within;
  if (highest === null) return stretchOf(trx, kind, first, last + 1);
  if (highest < last) return stretchOf(trx, kind, highest + 1, last + 1);
  if (Number(within.given) > last - first) return undefined;
  const gap = await firstGap(trx, first, last);
  return gap === undefined ? undefined : stretchOf(trx, kind, gap, gap + 1);
}

async function stretchOf(trx: Queries, kind: DatabaseKind, start: number, behind: number): Promise<Stretch> {
  const end = Math.min(behind, start + STRETCH);
  const addresses = Array.from({ length: end - start }, (_, index) => start + index);
  return { next: start, end, reserved: await reservedAmong(trx, kind, addresses) };
}

async function firstGap(trx: Queries, first: number, last: number): Promise<number | undefined> {
  const lowest = await trx
    .selectFrom('dhcp_address')
    .select('address')
    .where('address', '=', first)
    .executeTakeFirst();
  if (lowest === undefined) return first;
  const before = await trx
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
  return before && before.address + 1;
}

async function longestFree(
  trx: Queries,
  ranges: readonly AddressRange[],
  now: Timestamp,
): Promise<number | undefined> {
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

/** Those of `addresses` that are some node's reservation. */
async function reservedAmong(
  trx: Queries,
  kind: DatabaseKind,
  addresses: readonly number[],
): Promise<Set<number>> {
  if (addresses.length === 0) return new Set();
  const rows = await reservations.run(trx, kind, addresses.map(addressText));
  return new Set(rows.flatMap(({ ip }) => (ip === null ? [] : [numberOf(ip)])));
}
