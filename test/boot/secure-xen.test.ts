import test from 'ava';
import { openBootSite, PATIENCE } from './boot-once.js';
import { nodeOf, paths } from './paths.js';

test('under Secure Boot, Xen is not tried again and again: the signed GRUB says why, and leaves', async (t) => {
  t.timeout(PATIENCE + 180_000);
  const path = paths.find(({ machine }) => machine === 'uefi-secure');
  if (path === undefined) throw new Error('no path boots under Secure Boot');
  const site = await openBootSite([path], ['single']);
  try {
    const node = nodeOf(path);
    await site.rackboot('nodeset', node.name, 'osimage=single:xen');
    const refused = await t.throwsAsync(site.rackboot('node', 'set', node.name, '--attr', 'loader=shim'));
    t.regex(refused.message, /its loader shim cannot boot Xen/);
    // As it is where dhcp.loaders names shim, or the attribute is older than the check.
    const record = await site.store.nodes.get(node.name);
    if (record === undefined) throw new Error(`${node.name} is gone`);
    await site.store.nodes.put({ ...record, attributes: { loader: 'shim' } });
    await site.withMachine(
      node,
      { kind: 'network' },
      async (machine) => {
        await machine.waitFor(/rackboot: Secure Boot cannot boot Xen/, { withinMs: PATIENCE });
      },
      { memoryMb: 768 },
    );
    t.pass();
  } finally {
    await site.close();
  }
});
