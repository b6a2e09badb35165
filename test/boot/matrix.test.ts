import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Machine } from '../../src/demo/machine.js';
import type { BootSource, Firmware } from '../../src/demo/qemu.js';
import { LabSite, type LabNode } from '../e2e/lab-site.js';
import { evidenceOf, writeMedia, type ArchiveLayout, type Evidence } from './machine-image.js';
import { PlainRom } from './plain-rom.js';
import { ResultTable } from './result-table.js';

/** A boot under software emulation on busy processors, in milliseconds. */
const PATIENCE = 5 * 60_000;

/** A way from power-on to the kernel. */
interface Path {
  readonly firmware: string; // as the table calls it
  readonly loader: string;
  readonly machine: Firmware;
  readonly by?: 'http';
  readonly rom?: 'plain'; // a ROM that is not iPXE
  readonly attribute?: string; // the node's loader
  readonly fetches: readonly RegExp[]; // loaders that the servers saw fetched
}

const paths: readonly Path[] = [
  { firmware: 'BIOS', loader: 'iPXE ROM', machine: 'bios', fetches: [] },
  {
    firmware: 'BIOS',
    loader: 'PXELINUX',
    machine: 'bios',
    attribute: 'pxelinux',
    fetches: [/^pxelinux\.0 by TFTP/, /^ldlinux\.c32 by TFTP/],
  },
  {
    firmware: 'BIOS',
    loader: 'undionly.kpxe',
    machine: 'bios',
    rom: 'plain',
    fetches: [/^undionly\.kpxe by TFTP/],
  },
  { firmware: 'UEFI', loader: 'snponly.efi', machine: 'uefi', fetches: [/^snponly\.efi by TFTP/] },
  {
    firmware: 'UEFI',
    loader: 'GRUB',
    machine: 'uefi',
    attribute: 'grub',
    fetches: [/^core-x64\.efi by TFTP/],
  },
  {
    firmware: 'UEFI HTTP',
    loader: 'snponly.efi',
    machine: 'uefi',
    by: 'http',
    fetches: [/^snponly\.efi$/],
  },
  {
    firmware: 'UEFI HTTP',
    loader: 'GRUB',
    machine: 'uefi',
    by: 'http',
    attribute: 'grub',
    fetches: [/^core-x64\.efi$/],
  },
  {
    firmware: 'UEFI secure',
    loader: 'shim, GRUB',
    machine: 'uefi-secure',
    attribute: 'shim',
    fetches: [/^shimx64\.efi by TFTP/, /^grubx64\.efi by TFTP/],
  },
];

const nodes: readonly LabNode[] = paths.map(({ machine }, at) => ({
  name: `n${at + 1}`,
  mac: `52:54:00:77:02:0${at + 1}`,
  ip: `10.77.0.${31 + at}`,
  firmware: machine,
}));

/** What is booted: an osimage of a layout, by one of its entries. */
interface System {
  readonly what: string; // as the table calls it
  readonly layout: ArchiveLayout;
  readonly entry: 'linux' | 'two' | 'xen';
  readonly only?: string; // the loader it is for
}

const systems: readonly System[] = [
  { what: 'Linux', layout: 'single', entry: 'linux' },
  { what: 'Linux', layout: 'appended', entry: 'two' },
  { what: 'Xen', layout: 'single', entry: 'xen' },
  { what: 'Xen', layout: 'appended', entry: 'xen' },
  { what: 'Xen', layout: 'appended-bzip2', entry: 'xen', only: 'PXELINUX' },
];

const layouts: Readonly<Record<ArchiveLayout, string>> = {
  single: 'spliced',
  appended: 'appended, gzip + gzip',
  'appended-bzip2': 'appended, bzip2 + gzip',
};

/** Why a combination cannot be. */
function impossible({ firmware, loader }: Path, { what, layout }: System): string | undefined {
  if (firmware === 'UEFI secure' && what === 'Xen') {
    return 'the GRUB that Debian signed has no multiboot2, and Secure Boot loads no module into it';
  }
  if (loader === 'PXELINUX' && what === 'Xen' && layout === 'appended') {
    return 'mboot.c32 unpacks the first gzip archive and loses the second; rackboot refuses the entry';
  }
  return undefined;
}

const EDITED = 'changed by rackboot';
const table = new ResultTable(['FIRMWARE', 'LOADER', 'WHAT', 'ARCHIVE', 'SECONDS', 'RESULT']);
let site: LabSite;

test.before(async (t) => {
  t.timeout(180_000);
  site = await LabSite.open(nodes, async (opened) => {
    for (const layout of Object.keys(layouts)) {
      const media = join(opened.dir, `media-${layout}`);
      await writeMedia(media, layout as ArchiveLayout);
      await opened.rackboot('image', 'import', media, '--name', layout);
      const marker = join(opened.dir, 'marker');
      await writeFile(marker, `${EDITED}\n`);
      await opened.rackboot('image', 'put', layout, `${marker}:/etc/marker`);
    }
  });
  for (const [at, { attribute }] of paths.entries()) {
    const name = nodes[at]?.name ?? '';
    if (attribute !== undefined) await site.rackboot('node', 'set', name, '--attr', `loader=${attribute}`);
    await site.rackboot('node', 'set', name, '--attr', `bootargs=who=${name}`);
  }
});

test.after.always(async () => {
  await site?.close();
  process.stdout.write(`\n${table.text()}\n`);
});

for (const [at, path] of paths.entries()) {
  for (const system of systems) {
    const { firmware, loader } = path;
    if (system.only !== undefined && system.only !== loader) continue;
    const cell = [firmware, loader, system.what, layouts[system.layout]] as const;
    const why = impossible(path, system);
    const node = nodes[at];
    if (node === undefined) continue;
    if (why !== undefined) {
      table.add([...cell, '-', `impossible: ${why}`]);
      continue;
    }
    test.serial(cell.join(' · '), async (t) => {
      const row = table.add([...cell, '-', 'FAILED']);
      const seconds = await bootOnce(t, node, path, system);
      row.set([...cell, seconds.toFixed(0), 'ok']);
    });
  }
}

/** Boots the machine and checks what its init saw; how long that took, in seconds. */
async function bootOnce(t: ExecutionContext, node: LabNode, path: Path, system: System): Promise<number> {
  t.timeout(PATIENCE + 60_000);
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
    t.regex(evidence.line, new RegExp(`console=${isXen ? 'hvc0' : 'ttyS0'} quiet who=${node.name}`));
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

async function waitForEvidence(machine: Machine): Promise<{ evidence: Evidence; ms: number }> {
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
