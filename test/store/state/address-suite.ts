import test from 'ava';
import type { AddressClaim } from '../../../src/store/records.js';
import { openStore } from '../../../src/store/store.js';
import type { OpenTestStore } from './open-test-store.js';

const ranges = [{ first: '10.77.0.10', last: '10.77.0.12' }];
const mac = (number: number): string => `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`;
const claim = (number: number, fields: Partial<AddressClaim> = {}): AddressClaim => ({
  mac: mac(number),
  node: `n${number}`,
  ranges,
  wanted: null,
  now: 1000,
  until: 2000,
  ...fields,
});

/** Facts about addresses out of pools, and about strangers, that hold in every database. */
export function addressFacts(open: OpenTestStore): void {
  test('an interface keeps its address, a full pool gives none, and the one free longest goes first', async (t) => {
    const { addresses } = (await open(t)).store;
    const give = async (number: number, fields: Partial<AddressClaim> = {}): Promise<string | undefined> =>
      (await addresses.claim(claim(number, fields)))?.address;
    t.is(await give(1), '10.77.0.10');
    t.is(await give(1), '10.77.0.10');
    t.is(await give(2, { wanted: '10.77.0.12' }), '10.77.0.12');
    t.is(await give(3, { wanted: '10.77.0.10' }), '10.77.0.11', 'taken, and the gap is found');
    t.is(await give(4), undefined);
    t.true(await addresses.bind('10.77.0.10', mac(1), 9000));
    t.true(await addresses.bind('10.77.0.12', mac(2), 5000));
    t.is(await give(4, { now: 2000, until: 3000 }), '10.77.0.11', 'an offer that was not taken up');
    t.false(await addresses.bind('10.77.0.11', mac(3), 9000), 'it is somebody else’s now');
    t.is(await give(2, { now: 4999 }), '10.77.0.12');
    t.is(await give(5, { now: 5000, until: 6000, wanted: '10.77.0.10' }), '10.77.0.11');
    t.is(await give(6, { now: 5000, until: 6000 }), '10.77.0.12', 'its lease has ended');
    t.is(await give(1, { now: 8999, until: 9500 }), '10.77.0.10', 'its lease lasts');
  });

  test('addresses are released, declined, and looked up', async (t) => {
    const { addresses } = (await open(t)).store;
    await addresses.claim(claim(1));
    t.deepEqual(await addresses.ofMac(mac(1), 1000), [], 'only offered');
    await addresses.bind('10.77.0.10', mac(1), 5000);
    const bound = {
      address: '10.77.0.10',
      mac: mac(1),
      node: 'n1',
      state: 'bound' as const,
      expiresAt: 5000,
    };
    t.deepEqual(await addresses.ofMac(mac(1), 4999), [bound]);
    t.deepEqual(await addresses.ofNode('n1', 4999), bound);
    t.deepEqual(await addresses.at('10.77.0.10', 4999), bound);
    t.deepEqual(await addresses.ofNodes(4999), [bound]);
    t.is(await addresses.at('10.77.0.10', 5000), undefined);

    await addresses.release('10.77.0.10', mac(2), 1500);
    t.truthy(await addresses.at('10.77.0.10', 1500), 'not its own to release');
    await addresses.release('10.77.0.10', mac(1), 1500);
    t.is(await addresses.at('10.77.0.10', 1500), undefined);
    t.is((await addresses.claim(claim(1, { now: 1600 })))?.address, '10.77.0.10', 'comes back to it');

    await addresses.decline('10.77.0.10', mac(1), 9000);
    t.is((await addresses.claim(claim(1, { now: 1700 })))?.address, '10.77.0.11');
    t.is((await addresses.claim(claim(2, { now: 1700, wanted: '10.77.0.10' })))?.address, '10.77.0.12');
    const late = { wanted: '10.77.0.10', now: 8999 };
    t.is((await addresses.claim(claim(3, late)))?.address, '10.77.0.11');
    t.is((await addresses.claim(claim(4, { ...late, now: 9000 })))?.address, '10.77.0.10');
  });

  test('a node’s reservation inside a pool is given to nobody else', async (t) => {
    const { addresses, nodes } = (await open(t)).store;
    const node = { macs: [mac(9)], uuid: null, serial: null, groups: [], attributes: {} };
    await nodes.put({ ...node, name: 'n9', ip: '10.77.0.10' });
    t.is((await addresses.claim(claim(1, { wanted: '10.77.0.10' })))?.address, '10.77.0.11');
    await addresses.bind('10.77.0.11', mac(1), 9000);
    await nodes.put({ ...node, name: 'n9', ip: '10.77.0.11' });
    t.is((await addresses.claim(claim(1)))?.address, '10.77.0.12', 'reserved since');
  });

  test('two servers on one database give every interface one address, and nobody another’s', async (t) => {
    const { site, store } = await open(t);
    const other = await openStore(site);
    t.teardown(() => other.close());
    const wide = [{ first: '10.77.1.0', last: '10.77.1.255' }];
    const both = await Promise.all(
      Array.from({ length: 60 }, (_, index) => index).flatMap((number) =>
        [store, other].map(async ({ addresses }) => {
          const lease = await addresses.claim(claim(number, { ranges: wide }));
          const bound = await addresses.bind(lease?.address ?? '', mac(number), 9000);
          return { number, address: lease?.address, bound };
        }),
      ),
    );
    t.true(both.every(({ bound }) => bound));
    t.is(new Set(both.map(({ address }) => address)).size, 60);
    t.is(new Set(both.map(({ number, address }) => `${number} ${address ?? ''}`)).size, 60);
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
