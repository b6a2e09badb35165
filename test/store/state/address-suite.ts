import test from 'ava';
import type { AddressBook, AddressClaim, Store } from '../../../src/store/records.js';
import { openStore } from '../../../src/store/store.js';
import type { OpenTestStore } from './open-test-store.js';

const ranges = [{ first: '10.77.0.10', last: '10.77.0.12' }];
const mac = (number: number): string => `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`;
const claim = (number: number, fields: Partial<AddressClaim> = {}): AddressClaim => ({
  mac: mac(number),
  node: `n${number}`,
  ranges,
  wanted: null,
  until: 2000,
  ...fields,
});

/** One deed in a transaction of its own, with the book of one interface. */
function alone<T>(
  { addresses }: Store,
  number: number,
  deed: (book: AddressBook) => T | Promise<T>,
  now = 1000,
): Promise<T> {
  return addresses.settle([mac(number)], now, async (book) => deed(book));
}

interface Asked extends Partial<AddressClaim> {
  readonly now?: number;
}

async function given(
  store: Store,
  number: number,
  { now, ...fields }: Asked = {},
): Promise<string | undefined> {
  return (await alone(store, number, (book) => book.claim(claim(number, fields)), now))?.address;
}

/** Facts about addresses out of pools, and about strangers, that hold in every database. */
export function addressFacts(open: OpenTestStore): void {
  test('an interface keeps its address, a full pool gives none, and the one free longest goes first', async (t) => {
    const { store } = await open(t);
    const give = (number: number, asked?: Asked): Promise<string | undefined> => given(store, number, asked);
    const bind = (address: string, number: number, until: number): Promise<boolean> =>
      alone(store, number, (book) => book.bind(address, mac(number), until));
    t.is(await give(1), '10.77.0.10');
    t.is(await give(1), '10.77.0.10');
    t.is(await give(2, { wanted: '10.77.0.12' }), '10.77.0.12');
    t.is(await give(3, { wanted: '10.77.0.10' }), '10.77.0.11', 'taken, and the gap is found');
    t.is(await give(4), undefined);
    t.true(await bind('10.77.0.10', 1, 9000));
    t.true(await bind('10.77.0.12', 2, 5000));
    t.is(await give(4, { now: 2000, until: 3000 }), '10.77.0.11', 'an offer that was not taken up');
    t.false(await bind('10.77.0.11', 3, 9000), 'it is somebody else’s now');
    t.is(await give(2, { now: 4999 }), '10.77.0.12');
    t.is(await give(5, { now: 5000, until: 6000, wanted: '10.77.0.10' }), '10.77.0.11');
    t.is(await give(6, { now: 5000, until: 6000 }), '10.77.0.12', 'its lease has ended');
    t.is(await give(1, { now: 8999, until: 9500 }), '10.77.0.10', 'its lease lasts');
  });

  test('many interfaces claim in one transaction, and each has one address', async (t) => {
    const { store } = await open(t);
    const node = { macs: [mac(99)], uuid: null, serial: null, groups: [], attributes: {} };
    await store.nodes.put({ ...node, name: 'n99', ip: '10.77.2.5' });
    const wide = [
      { first: '10.77.2.0', last: '10.77.2.9' },
      { first: '10.77.3.0', last: '10.77.3.9' },
    ];
    const numbers = Array.from({ length: 22 }, (_, index) => index);
    const claimAll = (now: number, until: number): Promise<readonly (string | undefined)[]> =>
      store.addresses.settle(numbers.map(mac), now, async (book) => {
        const addresses: (string | undefined)[] = [];
        for (const number of numbers) {
          const wanted = number === 7 ? '10.77.2.3' : null;
          addresses.push((await book.claim(claim(number, { ranges: wide, wanted, until })))?.address);
        }
        for (const [number, address] of addresses.entries()) {
          if (address !== undefined && number % 2 === 0) t.true(book.bind(address, mac(number), 9000));
        }
        return addresses;
      });
    const first = await claimAll(1000, 2000);
    t.is(new Set(first.slice(0, 19)).size, 19);
    t.deepEqual(first.slice(0, 5), ['10.77.2.0', '10.77.2.1', '10.77.2.2', '10.77.2.3', '10.77.2.4']);
    t.is(first[7], '10.77.2.8', 'what it wants is taken in the same transaction');
    t.false(first.includes('10.77.2.5'), 'reserved');
    t.deepEqual(first.slice(19), [undefined, undefined, undefined], 'both ranges are used up');
    t.deepEqual((await claimAll(1500, 2500)).slice(0, 19), first.slice(0, 19), 'the same ones again');
    const bound = (await store.addresses.ofNodes(1500)).map(({ address }) => address);
    t.deepEqual(
      bound.toSorted(),
      first.filter((address, number) => address !== undefined && number % 2 === 0).toSorted(),
    );
    t.is(await given(store, 50, { ranges: wide, now: 3000 }), first[1], 'the first offer that lapsed');
  });

  test('what fails leaves nothing', async (t) => {
    const { store } = await open(t);
    const failing = store.addresses.settle([mac(1)], 1000, async (book) => {
      await book.claim(claim(1));
      book.bind('10.77.0.10', mac(1), 9000);
      throw new Error('power');
    });
    await t.throwsAsync(failing);
    t.is(await store.addresses.at('10.77.0.10', 1000), undefined);
    t.is(await given(store, 2), '10.77.0.10');
  });

  test('addresses are released, declined, and looked up', async (t) => {
    const { store } = await open(t);
    const { addresses } = store;
    await given(store, 1);
    t.deepEqual(await alone(store, 1, (book) => book.ofMac(mac(1))), [], 'only offered');
    await alone(store, 1, (book) => book.bind('10.77.0.10', mac(1), 5000));
    const bound = {
      address: '10.77.0.10',
      mac: mac(1),
      node: 'n1',
      state: 'bound' as const,
      expiresAt: 5000,
    };
    t.deepEqual(await alone(store, 1, (book) => book.ofMac(mac(1)), 4999), [bound]);
    t.deepEqual(await addresses.ofNode('n1', 4999), bound);
    t.deepEqual(await addresses.at('10.77.0.10', 4999), bound);
    t.deepEqual(await addresses.ofNodes(4999), [bound]);
    t.is(await addresses.at('10.77.0.10', 5000), undefined);

    await alone(store, 2, (book) => book.release('10.77.0.10', mac(2)), 1500);
    t.truthy(await addresses.at('10.77.0.10', 1500), 'not its own to release');
    await alone(store, 1, (book) => book.release('10.77.0.10', mac(1)), 1500);
    t.is(await addresses.at('10.77.0.10', 1500), undefined);
    t.is(await given(store, 1, { now: 1600 }), '10.77.0.10', 'comes back to it');

    await alone(store, 1, (book) => book.decline('10.77.0.10', mac(1), 9000));
    t.is(await given(store, 1, { now: 1700 }), '10.77.0.11');
    t.is(await given(store, 2, { now: 1700, wanted: '10.77.0.10' }), '10.77.0.12');
    const late = { wanted: '10.77.0.10', until: 20_000 };
    t.is(await given(store, 3, { ...late, now: 8999 }), '10.77.0.11');
    t.is(await given(store, 4, { ...late, now: 9000 }), '10.77.0.10');
  });

  test('what is said of one address several times in a transaction is written as it was said last', async (t) => {
    const { store } = await open(t);
    const asks = [
      ['a new one, bound at once', 'n1', 2000],
      ['renewed', 'n1', 3000],
      ['renewed, and the interface is another node’s', 'n2', 4000],
    ] as const;
    for (const [what, node, until] of asks) {
      await store.addresses.settle([mac(1)], 1000, async (book) => {
        book.bind('10.77.0.10', mac(1), until - 1);
        const lease = await book.claim(claim(1, { node, until: until - 2 }));
        t.is(lease?.address, '10.77.0.10', what);
        book.bind('10.77.0.10', mac(1), until);
      });
      const lease = await store.addresses.at('10.77.0.10', 1000);
      t.like(lease, { mac: mac(1), node, state: 'bound', expiresAt: until }, what);
    }
  });

  test('a node’s reservation inside a pool is given to nobody else', async (t) => {
    const { store } = await open(t);
    const node = { macs: [mac(9)], uuid: null, serial: null, groups: [], attributes: {} };
    await store.nodes.put({ ...node, name: 'n9', ip: '10.77.0.10' });
    t.is(await given(store, 1, { wanted: '10.77.0.10' }), '10.77.0.11');
    await alone(store, 1, (book) => book.bind('10.77.0.11', mac(1), 9000));
    await store.nodes.put({ ...node, name: 'n9', ip: '10.77.0.11' });
    t.is(await given(store, 1), '10.77.0.12', 'reserved since');
  });

  test('two servers on one database give every interface one address, and nobody another’s', async (t) => {
    const { site, store } = await open(t);
    const other = await openStore(site);
    t.teardown(() => other.close());
    const wide = [{ first: '10.77.1.0', last: '10.77.1.255' }];
    const both = await Promise.all(
      Array.from({ length: 60 }, (_, index) => index).flatMap((number) =>
        [store, other].map(async (server) => {
          const address = await given(server, number, { ranges: wide });
          const bound = await alone(server, number, (book) => book.bind(address ?? '', mac(number), 9000));
          return { number, address, bound };
        }),
      ),
    );
    t.true(both.every(({ bound }) => bound));
    t.is(new Set(both.map(({ address }) => address)).size, 60);
    t.is(new Set(both.map(({ number, address }) => `${number} ${address ?? ''}`)).size, 60);
  });

  test('nodes are found by many MAC addresses at once, with what they are set to', async (t) => {
    const { nodes } = (await open(t)).store;
    const node = { ip: null, uuid: null, serial: null, groups: [], attributes: {} };
    await nodes.put({ ...node, name: 'n1', macs: [mac(1), mac(11)], attributes: { loader: 'x' } });
    await nodes.put({ ...node, name: 'n2', macs: [mac(2)], ip: '10.77.0.2' });
    const unset = { osimage: null, generation: null, entry: null, since: 1 };
    await nodes.assign([{ node: 'n2', state: 'boot', ...unset }]);
    const one = { name: 'n1', ip: null, attributes: { loader: 'x' }, state: null };
    const found = await nodes.atMacs([mac(11), mac(2), mac(3), mac(1)]);
    t.deepEqual(
      found.toSorted((left, right) => left.mac.localeCompare(right.mac)),
      [
        { ...one, mac: mac(1) },
        { name: 'n2', ip: '10.77.0.2', attributes: {}, state: 'boot', mac: mac(2) },
        { ...one, mac: mac(11) },
      ],
    );
    t.deepEqual(await nodes.atMacs([]), []);
  });

  test('events are appended together, in their order', async (t) => {
    const { events } = (await open(t)).store;
    const event = { stage: 'dhcp', detail: 'x', generation: null, client: mac(1) };
    const three = [
      { ...event, at: 1, node: 'n1', bytes: null, ms: null },
      { ...event, at: 2, node: null, bytes: 2 ** 40, ms: 1.5 },
      { ...event, at: 3, node: 'n’1', bytes: 0, ms: 2 },
    ];
    await events.appendAll(three);
    await events.appendAll([]);
    t.deepEqual(
      (await events.since(0, 10)).map(({ id: _, ...rest }) => rest),
      three,
    );
  });

  test('strangers are kept until they are nodes', async (t) => {
    const { strangers, nodes } = (await open(t)).store;
    const seen = { client: 'PXE ROM, BIOS', uuid: null, port: 'sw1/7' };
    await strangers.record({ ...seen, mac: mac(1), at: 10 });
    await strangers.record({ ...seen, mac: mac(2), at: 20 });
    await strangers.record({ ...seen, mac: mac(1), at: 30, port: 'sw1/8' });
    t.deepEqual(await strangers.list(), [
      { ...seen, mac: mac(1), port: 'sw1/8', firstSeen: 10, lastSeen: 30 },
      { ...seen, mac: mac(2), firstSeen: 20, lastSeen: 20 },
    ]);
    await nodes.put({
      ...{ name: 'n1', macs: [mac(1)], ip: null, uuid: null, serial: null, groups: [] },
      attributes: { switchport: 'sw1/8' },
    });
    t.deepEqual(
      (await strangers.list()).map((stranger) => stranger.mac),
      [mac(2)],
    );
    t.is((await nodes.bySwitchPort('sw1/8'))?.name, 'n1');
    t.is(await nodes.bySwitchPort('sw1/9'), undefined);
  });
}
