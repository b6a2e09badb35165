import test from 'ava';
import { bootOnce, openBootSite, type BootedSystem } from './boot-once.js';
import type { LabSite } from '../e2e/lab-site.js';
import type { ArchiveLayout } from './machine-image.js';
import { paths, type BootPath } from './paths.js';
import { ResultTable } from './result-table.js';

/** A system and what the table calls it. */
interface System extends BootedSystem {
  readonly what: string;
  readonly only?: string; // the loader it is for
}

const systems: readonly System[] = [
  { what: 'Linux', layout: 'single', entry: 'linux' },
  { what: 'Linux', layout: 'appended', entry: 'two' },
  { what: 'Xen', layout: 'single', entry: 'xen' },
  { what: 'Xen', layout: 'appended', entry: 'xen' },
  { what: 'Xen, long lines', layout: 'single', entry: 'xen', longLine: true, only: 'iPXE ROM' },
  { what: 'Xen', layout: 'appended-bzip2', entry: 'xen', only: 'PXELINUX' },
];

const layouts: Readonly<Record<ArchiveLayout, string>> = {
  single: 'spliced',
  appended: 'appended, gzip + gzip',
  'appended-bzip2': 'appended, bzip2 + gzip',
};

/** Why a combination cannot be. */
function impossible({ firmware, loader }: BootPath, { what, layout }: System): string | undefined {
  if (firmware === 'UEFI secure' && what === 'Xen') {
    return 'the GRUB that Debian signed has no multiboot2, and Secure Boot loads no module into it';
  }
  if (loader === 'PXELINUX' && what === 'Xen' && layout === 'appended') {
    return 'mboot.c32 unpacks the first gzip archive and loses the second; rackboot refuses the entry';
  }
  return undefined;
}

const table = new ResultTable(['FIRMWARE', 'LOADER', 'WHAT', 'ARCHIVE', 'SECONDS', 'RESULT']);
let site: LabSite;

test.before(async (t) => {
  t.timeout(180_000);
  site = await openBootSite(paths, ['single', 'appended', 'appended-bzip2']);
});

test.after.always(async () => {
  await site?.close();
  process.stdout.write(`\n${table.text()}\n`);
});

for (const path of paths) {
  for (const system of systems) {
    const { firmware, loader } = path;
    if (system.only !== undefined && system.only !== loader) continue;
    const cell = [firmware, loader, system.what, layouts[system.layout]] as const;
    const why = impossible(path, system);
    const row = table.add([...cell, '-', why === undefined ? 'not run' : `impossible: ${why}`]);
    if (why !== undefined) continue;
    test.serial(cell.join(' · '), async (t) => {
      row.set([...cell, '-', 'FAILED']);
      const seconds = await bootOnce(t, site, path, system);
      row.set([...cell, seconds.toFixed(0), 'ok']);
    });
  }
}
