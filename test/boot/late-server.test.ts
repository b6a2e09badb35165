import test from 'ava';
import type { LabSite } from '../e2e/lab-site.js';
import { EDITED, openBootSite, PATIENCE, waitForEvidence } from './boot-once.js';
import { nodeOf, paths } from './paths.js';

const path = paths.find(({ firmware, loader }) => firmware === 'UEFI' && loader === 'GRUB');
let site: LabSite;

test.after.always(async () => {
  await site?.close();
});

test('GRUB whose server goes away asks until it is back', async (t) => {
  t.timeout(2 * PATIENCE);
  if (path === undefined) return t.fail();
  const node = nodeOf(path);
  site = await openBootSite([path], ['single']);
  await site.rackboot('node', 'set', node.name, '--attr', 'loader=grub');
  await site.rackboot('nodeset', node.name, 'osimage=single:linux');
  const evidence = await site.withMachine(
    node,
    { kind: 'network' },
    async (machine) => {
      const after = await site.store.events.lastId();
      for (let isLoaded = false; !isLoaded;) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const events = await site.store.events.since(after, 100);
        isLoaded = events.some(({ detail }) => detail.startsWith('core-x64.efi by TFTP'));
        if (machine.serial.text.includes('EVIDENCE')) break;
      }
      await site.stopServing();
      await machine.waitFor(/no word from the server; asking it again/, { withinMs: PATIENCE });
      await site.serve();
      return waitForEvidence(machine);
    },
    { memoryMb: 768 },
  );
  t.is(evidence.evidence.marker, EDITED);
});
