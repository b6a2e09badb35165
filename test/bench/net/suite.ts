import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Row } from '../ratio-table.js';
import { benchDhcp } from './dhcp.js';
import { benchHttp } from './http.js';
import { unpackPeers } from './debian-peers.js';
import { openLab, type Lab } from './lab.js';
import { TFTP_PACKAGES, tftpPeers } from './peers.js';
import { benchNodeset } from './nodeset.js';
import { NetSite, RACKBOOT_URL, type BenchImage } from './site.js';
import { benchStorm } from './storm.js';
import { benchTftp } from './tftp.js';

const MB = 1e6;
const NODES = 10_000;
const GIB = 2 ** 30;

/** What is measured, each by itself. */
export const NET_PARTS = ['dhcp', 'tftp', 'http', 'nodeset', 'storm'] as const;
type Part = (typeof NET_PARTS)[number];

/** Measures the boot servers: TFTP, HTTP, DHCP, nodeset, and a thousand nodes that boot at once; or `parts` of it. */
export async function benchNet(
  directory: string,
  say: (line: string) => void,
  parts: readonly Part[] = NET_PARTS,
): Promise<Row[]> {
  const rows: Row[] = [];
  const measure = async (name: Part, run: () => Promise<Row[]>): Promise<void> => {
    if (parts.includes(name)) rows.push(...(await part(name, say, run)));
  };
  await measure('dhcp', () => benchDhcp(directory, say));
  if (parts.every((name) => name === 'dhcp')) return rows;
  const scratch = await mkdtemp('/dev/shm/rackboot-bench-');
  const lab = await openLab();
  try {
    say('publishing boot files');
    const site = await NetSite.make(directory);
    const tiny = await site.publish('tiny', MB, MB);
    const small = await site.publish('small', 4 * MB, 4 * MB);
    const rack = await site.publish('rack', 8 * MB, 100 * MB);
    const large = await site.publish('large', 1 * MB, GIB);
    const root = await copyForPeers(lab, site, directory, [tiny, small, rack, large]);
    const fixture = async (image: BenchImage) => ({
      bytes: await readFile(path.join(root, image.name)),
      ofPeers: image.name,
      ofOurs: image.initrd.slice(1),
      root,
      scratch,
    });
    const serve = () => site.serve(lab);
    await measure('tftp', async () => {
      const peers = tftpPeers(await unpackPeers(directory, TFTP_PACKAGES));
      const files = { large: await fixture(rack), small: await fixture(small), tiny: await fixture(tiny) };
      return benchTftp(lab, peers, files, serve, say);
    });
    const ofLarge = { ofOurs: large.initrd, ofPeers: large.name, size: GIB, root };
    await measure('http', () => benchHttp(lab, site, ofLarge, serve, directory, say));
    say(`making ${NODES} nodes`);
    await site.addNodes(NODES);
    await measure('nodeset', () => benchNodeset(site, rack.name, say));
    await site.run('nodeset', 'all', `osimage=${rack.name}`);
    await measure('storm', () => benchStorm(lab, serve, say));
    return rows;
  } finally {
    await lab.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What `run` measures; a row that says so when it cannot, so that the others are not lost with it. */
async function part(
  work: string,
  say: (line: string) => void,
  run: () => Promise<Row[]>,
): Promise<readonly Row[]> {
  try {
    return await run();
  } catch (error) {
    const [note = ''] = String(error).split('\n');
    say(`${work}: ${String(error)}`);
    return [{ work, peer: 'not measured', ours: NaN, theirs: NaN, unit: 's', goal: { most: 0 }, note }];
  }
}

/** What we serve, as plain files for servers of directories. */
async function copyForPeers(
  lab: Lab,
  site: NetSite,
  directory: string,
  images: readonly BenchImage[],
): Promise<string> {
  const root = path.join(directory, 'published');
  await mkdir(root, { recursive: true });
  const server = await site.serve(lab);
  try {
    for (const { name, initrd } of images)
      await lab.client.must(['curl', '-sf', '-o', path.join(root, name), `${RACKBOOT_URL}${initrd}`]);
  } finally {
    await server.stop();
  }
  return root;
}
