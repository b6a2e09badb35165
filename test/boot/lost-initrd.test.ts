import test from 'ava';
import type { LabSite } from '../e2e/lab-site.js';
import { EDITED, openBootSite, PATIENCE, waitForEvidence } from './boot-once.js';
import { nodeOf, paths } from './paths.js';

const path = paths.find(({ firmware, loader }) => firmware === 'UEFI HTTP' && loader === 'GRUB');
let site: LabSite;

test.after.always(async () => {
  await site?.close();
});

test('GRUB that has the kernel and loses the server boots when it is back', async (t) => {
  t.timeout(2 * PATIENCE);
  if (path === undefined) return t.fail();
  const node = nodeOf(path);
  site = await openBootSite([path], ['appended']);
  await site.rackboot('node', 'set', node.name, '--attr', 'loader=grub');
  await site.rackboot('nodeset', node.name, 'osimage=appended:two');
  const { evidence } = await site.withMachine(
    node,
    { kind: 'network', by: 'http' },
    async (machine) => {
      const after = await site.store.events.lastId();
      for (let isLoaded = false; !isLoaded;) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        const events = await site.store.events.since(after, 100);
        isLoaded = events.some(({ stage }) => stage === 'kernel');
        if (machine.serial.text.includes('EVIDENCE')) break;
      }
      await site.stopServing();
      await machine.waitFor(/could not load it; trying again/, { withinMs: PATIENCE });
      await site.serve();
      return waitForEvidence(machine);
    },
    { memoryMb: 768 },
  );
  t.is(evidence.marker, EDITED);
  t.is(evidence.second, 'second');
});
