import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Machine } from '../../src/demo/machine.js';
import type { BootSource } from '../../src/demo/qemu.js';
import { LabSite } from '../e2e/lab-site.js';
import { evidenceOf, writeMedia, type ArchiveLayout, type Evidence } from './machine-image.js';
import { nodeOf, type BootPath } from './paths.js';
import { PlainRom } from './plain-rom.js';

/** A boot under software emulation on busy processors, in milliseconds. */
export const PATIENCE = 6 * 60_000;

/** What rackboot puts into the file that every init tells. */
export const EDITED = 'changed by rackboot';

/** What is booted: an osimage of a layout, which is called so, by one of its entries. */
export interface BootedSystem {
  readonly layout: ArchiveLayout;
  readonly entry: 'linux' | 'two' | 'xen';
  readonly longLine?: true; // longer than iPXE has room for
}

/** Imports the media of `layout` as an osimage of that name, with one file changed. */
export async function importEdited(site: LabSite, layout: ArchiveLayout): Promise<void> {
  const media = join(site.dir, `media-${layout}`);
  await writeMedia(media, layout);
  await site.rackboot('image', 'import', media, '--name', layout);
  const marker = join(site.dir, 'marker');
  await writeFile(marker, `${EDITED}\n`);
  await site.rackboot('image', 'put', layout, `${marker}:/etc/marker`);
}

/** A site with the osimages of `layouts`, and a node for each of `used`. */
export async function openBootSite(
  used: readonly BootPath[],
  layouts: readonly ArchiveLayout[],
): Promise<LabSite> {
  return LabSite.open(used.map(nodeOf), async (site) => {
    for (const layout of layouts) await importEdited(site, layout);
  });
}

/** Boots the path's machine and checks what its init saw, and what the servers did; how long that took, in seconds. */
export async function bootOnce(
  t: ExecutionContext,
  site: LabSite,
  path: BootPath,
  system: BootedSystem,
): Promise<number> {
  t.timeout(PATIENCE + 60_000);
  const node = nodeOf(path);
  const filling = system.longLine === true ? ` fill=${'x'.repeat(600)}` : '';
  const bootargs = `who=${node.name}${filling}`;
  const attributes = ['--attr', `loader=${path.attribute ?? ''}`, '--attr', `bootargs=${bootargs}`];
  await site.rackboot('node', 'set', node.name, ...attributes);
  await site.rackboot('nodeset', node.name, `osimage=${system.layout}:${system.entry}`);
  const after = await site.store.events.lastId();
  const boot: BootSource = { kind: 'network', ...(path.by === undefined ? {} : { by: path.by }) };
  const rom = path.rom === 'plain' ? await PlainRom.listen(site.dir) : undefined;
  const changes = { memoryMb: 768, ...(rom === undefined ? {} : { more: rom.options }) };
  try {
    const { evidence, ms } = await site.withMachine(node, boot, waitForEvidence, changes);
    const isXen = system.entry === 'xen';
    t.is(evidence.marker, EDITED);
    t.is(evidence.appended, system.layout === 'single' ? 'base' : 'appended');
    t.is(evidence.second, system.entry === 'two' ? 'second' : 'none');
    t.is(evidence.hypervisor, isXen ? 'xen' : 'none');
    t.is(
      /\[(\w+)\]/.exec(evidence.lockdown)?.[1],
      path.machine === 'uefi-secure' ? 'integrity' : 'none',
      evidence.lockdown,
    );
    t.true(evidence.line.includes(`console=${isXen ? 'hvc0' : 'ttyS0'} quiet ${bootargs}`), evidence.line);
    if (rom !== undefined) t.true(rom.changed > 0);
    const events = (await site.store.events.since(after, 500)).filter((event) => event.node === node.name);
    const loaders = events.filter(({ stage }) => stage === 'loader').map(({ detail }) => detail);
    for (const fetched of path.fetches)
      t.true(
        loaders.some((detail) => fetched.test(detail)),
        `${fetched.source} in ${loaders.join(', ')}`,
      );
    for (const stage of ['dhcp', 'script', 'kernel', 'initrd'])
      t.true(
        events.some((event) => event.stage === stage),
        stage,
      );
    return ms / 1000;
  } finally {
    await rom?.close();
  }
}

/** What the machine's init tells, and when it had told it, in milliseconds. */
export async function waitForEvidence(machine: Machine): Promise<{ evidence: Evidence; ms: number }> {
  try {
    const { ms } = await machine.waitFor(/EVIDENCE-END/, { withinMs: PATIENCE });
    // The match may come before the end of its line.
    for (let tries = 0; tries < 50; tries++) {
      const evidence = evidenceOf(machine.serial.text);
      if (evidence !== undefined) return { evidence, ms };
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } catch (error) {
    throw new Error(`no evidence; last on the console:\n${machine.serial.text.slice(-3000)}`, {
      cause: error,
    });
  }
  throw new Error(`evidence that cannot be read:\n${machine.serial.text.slice(-3000)}`);
}
