import test from 'ava';
import { openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { newSite } from './in-process.js';

test('strangers are listed, and become nodes', async (t) => {
  const { dir, rackboot, json } = await newSite(t);
  t.is((await rackboot('node', 'discover')).out, 'no machine that is no node has asked\n');
  const store = await openStore(await openSite(dir));
  const uuid = '4c4c4544-0042-3510-8054-b4c04f4d3132';
  await store.strangers.record({
    mac: '52:54:00:00:00:01',
    client: 'PXE ROM, BIOS',
    uuid,
    port: 'sw1/7',
    at: 1,
  });
  await store.strangers.record({
    mac: '52:54:00:00:00:02',
    client: 'iPXE, BIOS',
    uuid: null,
    port: null,
    at: 2,
  });
  await store.close();

  const listed = await rackboot('node', 'discover');
  t.regex(listed.out, /^52:54:00:00:00:02 +iPXE, BIOS +- +- +\d{4}-/m);
  t.regex(listed.out, /^52:54:00:00:00:01 +PXE ROM, BIOS +sw1\/7 +4c4c4544/m);
  t.regex(listed.err, /dhcp\.unknown: refuse, not record\n$/);

  const taken = await rackboot('node', 'discover', '--add', 'n1=525400000001', '--add', 'n1');
  t.deepEqual([taken.status, taken.out], [2, '']);
  t.deepEqual(await json('node', 'ls'), [], 'all of them, or none');
  const added = await rackboot('node', 'discover', '--add', 'n1=525400000001');
  t.is(added.out, 'added n1 (52:54:00:00:00:01)\n');
  t.like(await json('node', 'show', 'n1'), [{ name: 'n1', uuid }]);
  t.like(await json('node', 'discover'), [{ mac: '52:54:00:00:00:02' }]);
  t.regex((await rackboot('node', 'discover', '--add', 'n1=525400000002')).err, /node n1 exists/);
});
