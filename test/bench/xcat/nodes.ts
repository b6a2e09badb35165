import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expandNoderange } from '../../../src/node/noderange.js';
import { directoryOf } from '../../../src/node/site-directory.js';
import { packageRoot } from '../../../src/site/assets.js';
import { openSite } from '../../../src/site/site.js';
import { openStore } from '../../../src/store/store.js';
import { median, node, shell, type Run } from '../measure.js';
import type { Row } from '../ratio-table.js';

const CLI = path.join(packageRoot(), 'dist/bundle/main.js');
const RACKS = 100;
const IN_RACK = 100;
const ALL = `r[1-${RACKS}]n[001-${IN_RACK}]`;

/** What xCAT's noderange may take for as many nodes, in seconds. */
const EXPANSION = 0.05;

/**
 * Measures ten thousand nodes: expanding their noderange, and setting them. xCAT itself does not run here: nodeset is held
 * against the least that it does, which is to write each node's three boot files.
 */
export async function benchNodes(directory: string, say: (line: string) => void): Promise<Row[]> {
  const site = path.join(directory, 'nodes-site');
  const rackboot = (...words: string[]): Promise<Run> => node(CLI, ['--site', site, ...words], directory);
  say(`defining ${RACKS * IN_RACK} nodes`);
  await rackboot('init');
  await writeFile(path.join(directory, 'nodes.csv'), nodesCsv());
  const imported = await rackboot('node', 'import', path.join(directory, 'nodes.csv'));
  await importImage(directory, rackboot);
  say('expanding a noderange');
  const expanded = await expansion(site);
  say('nodeset');
  let round = 0;
  const set = await median(3, () =>
    rackboot('nodeset', ALL, round++ % 2 === 0 ? 'osimage=small' : 'offline'),
  );
  say('three boot files for each node');
  const written = await median(3, async () => {
    await rm(path.join(directory, 'tftpboot'), { recursive: true, force: true });
    return shell(
      `mkdir tftpboot; for r in $(seq ${RACKS}); do for n in $(seq -w 001 ${IN_RACK}); do for e in '' .uefi .elilo; do printf '#!gpxe\\n#netboot x\\nimgfetch -n kernel http://x/kernel\\nimgload kernel\\nimgargs kernel x\\nimgfetch -n initrd http://x/initrd\\nimgexec kernel\\n' > "tftpboot/r\${r}n$n$e"; done; done; done`,
      directory,
    );
  });
  return [
    {
      work: `a noderange of ${RACKS * IN_RACK} nodes`,
      peer: 'the 50 ms that it may take',
      ours: expanded,
      theirs: EXPANSION,
      unit: 's',
      goal: { most: 1 },
    },
    {
      work: `nodeset of ${RACKS * IN_RACK} nodes`,
      peer: 'a shell that writes three files for each, unsynced',
      ours: set.seconds,
      theirs: written.seconds,
      unit: 's',
      goal: { most: 1 },
      note: `node import of them took ${imported.seconds.toFixed(1)} s`,
    },
  ];
}

function nodesCsv(): string {
  const lines = ['node,mac,ip,groups,arch,mgt'];
  for (let rack = 1; rack <= RACKS; rack++) {
    for (let n = 1; n <= IN_RACK; n++) {
      const mac = `5254${rack.toString(16).padStart(4, '0')}${n.toString(16).padStart(4, '0')}`;
      lines.push(
        `r${rack}n${String(n).padStart(3, '0')},${mac},10.${rack}.0.${n},"all,rack${rack}",x86_64,ipmi`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

async function importImage(directory: string, rackboot: (...words: string[]) => Promise<Run>): Promise<void> {
  const media = path.join(directory, 'small');
  await mkdir(media);
  await shell('echo kernel > vmlinuz; echo vmlinuz | cpio -o -H newc 2>/dev/null | gzip > initrd.gz', media);
  await rackboot('image', 'import', media, '--name', 'small');
}

/** Processor time of an expansion over the nodes of `site`, each read for it anew: the median of nine. */
async function expansion(site: string): Promise<number> {
  const store = await openStore(await openSite(site));
  try {
    const seconds: number[] = [];
    for (let run = 0; run < 9; run++) {
      const nodes = await store.nodes.list();
      const began = process.cpuUsage();
      const names = expandNoderange(`${ALL},-rack3`, directoryOf(nodes));
      const { user, system } = process.cpuUsage(began);
      seconds.push((user + system) / 1e6);
      if (names.length !== RACKS * IN_RACK - IN_RACK) throw new Error(`${names.length} nodes`);
    }
    return seconds.sort((a, b) => a - b)[4] ?? 0;
  } finally {
    await store.close();
  }
}
