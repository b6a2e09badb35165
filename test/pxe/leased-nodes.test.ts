import test from 'ava';
import { withLeasedAddresses } from '../../src/pxe/leased-nodes.js';
import { temporaryStore } from '../store/temporary-site.js';

test('a node without a reservation has the address of its lease, while it lasts', async (t) => {
  const { store } = await temporaryStore(t);
  let now = 1000;
  const leased = withLeasedAddresses(store, () => now);
  const node = { uuid: null, serial: null, groups: [], attributes: {} };
  await store.nodes.put({ ...node, name: 'n1', macs: ['52:54:00:00:00:01'], ip: null });
  await store.nodes.put({ ...node, name: 'n2', macs: ['52:54:00:00:00:02'], ip: '10.77.0.2' });
  const ranges = [{ first: '10.77.0.20', last: '10.77.0.29' }];
  const mac = '52:54:00:00:00:01';
  const claim = { mac, node: 'n1', ranges, wanted: null, until: 2000 };
  await store.addresses.settle([mac], now, (book) => book.claim(claim));
  t.is((await leased.nodes.get('n1'))?.ip, null, 'only offered');
  await store.addresses.settle([mac], now, async (book) => book.bind('10.77.0.20', mac, 5000));

  t.is((await leased.nodes.get('n1'))?.ip, '10.77.0.20');
  t.is((await leased.nodes.byMac('52:54:00:00:00:01'))?.ip, '10.77.0.20');
  t.is((await leased.nodes.byIp('10.77.0.20'))?.name, 'n1');
  t.is((await leased.nodes.byIp('10.77.0.2'))?.name, 'n2');
  t.deepEqual(
    (await leased.nodes.list()).map(({ name, ip }) => `${name} ${ip ?? ''}`),
    ['n1 10.77.0.20', 'n2 10.77.0.2'],
  );
  t.is((await store.nodes.get('n1'))?.ip, null, 'the reservation is not touched');
  t.deepEqual(await leased.osimages.list(), []);

  now = 5000;
  t.is((await leased.nodes.get('n1'))?.ip, null);
  t.is(await leased.nodes.byIp('10.77.0.20'), undefined);
});
