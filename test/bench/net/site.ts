import { randomBytes } from 'node:crypto';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseNode } from '../../../src/node/nodes.js';
import { packageRoot } from '../../../src/site/assets.js';
import { defaultConfig } from '../../../src/site/config.js';
import { siteAt } from '../../../src/site/site.js';
import { openStore } from '../../../src/store/store.js';
import { node, shell, type Run } from '../measure.js';
import { CROWD, RELAY, SERVER, type Lab, type Running } from './lab.js';

const CLI = path.join(packageRoot(), 'dist/bundle/main.js');
const PROGRAM = path.join(packageRoot(), 'bin/rackboot');
export const HTTP_PORT = 8080;
export const TFTP_PORT = 6969;
export const RACKBOOT_URL = `http://${SERVER.address}:${HTTP_PORT}`;

/** An osimage whose boot files are as large as the measurements want them. */
export interface BenchImage {
  readonly name: string;
  readonly kernel: string; // URL path
  readonly initrd: string; // URL path
}

/** A site that is worked on and served through the command line, as an operator does. */
export class NetSite {
  readonly #directory: string;
  readonly site: string;

  /** The site that `make` made in `directory`. */
  constructor(directory: string) {
    this.#directory = directory;
    this.site = path.join(directory, 'site');
  }

  static async make(directory: string): Promise<NetSite> {
    const site = new NetSite(directory);
    await site.run('init');
    await writeFile(
      path.join(site.site, 'rackboot.yaml'),
      `http:
  listen: ${SERVER.address}:${HTTP_PORT}
  proxies: [${SERVER.address}]
  limits: { connectionsPerClient: 128 } # curl is all clients at one address
tftp:
  listen: ${SERVER.address}:${TFTP_PORT}
dhcp:
  interfaces: { ${SERVER.interface}: authoritative }
  subnets:
    - { network: ${CROWD}, server: ${SERVER.address}, relays: [${RELAY}] }
`,
    );
    return site;
  }

  run(...args: string[]): Promise<Run> {
    return node(CLI, ['--site', this.site, ...args], this.#directory);
  }

  /** Imports a kernel of `kernelBytes` and an archive of `archiveBytes`, then changes a file in the archive. */
  async publish(name: string, kernelBytes: number, archiveBytes: number): Promise<BenchImage> {
    const media = path.join(this.#directory, `${name}-media`);
    const root = path.join(this.#directory, `${name}-root`);
    await mkdir(media);
    await mkdir(path.join(root, 'etc'), { recursive: true });
    await writeFile(path.join(root, 'etc/motd'), 'before\n');
    await writeRandom(path.join(root, 'ballast'), archiveBytes);
    await writeRandom(path.join(media, 'vmlinuz'), kernelBytes);
    await shell(`find . | LC_ALL=C sort | cpio -o -H newc --quiet > ${media}/initrd`, root);
    await this.run('image', 'import', media, '--name', name);
    await rm(media, { recursive: true });
    await writeFile(path.join(root, 'etc/motd'), 'after\n');
    await this.run('image', 'put', name, `${root}/etc/motd:/etc/motd`);
    await rm(root, { recursive: true });
    const store = await this.#open();
    try {
      const current = (await store.osimages.get(name))?.current ?? '';
      const below = `/images/${name}@${current}/files`;
      return { name, kernel: `${below}/vmlinuz`, initrd: `${below}/initrd` };
    } finally {
      await store.close();
    }
  }

  /** Makes `count` nodes, n00001 and on, with addresses of the simulated clients' network. */
  async addNodes(count: number): Promise<void> {
    const store = await this.#open();
    try {
      for (let index = 1; index <= count; index++)
        await store.nodes.put(
          parseNode({ name: nodeName(index), macs: [macOf(index)], ip: addressOf(index) }),
        );
    } finally {
      await store.close();
    }
  }

  /** `rackboot serve` in the server's namespace; up once HTTP answers. */
  serve(lab: Lab): Promise<Running> {
    return lab.server.start(
      [PROGRAM, '--site', this.site, 'serve', '--log-level', 'warn'],
      async () => (await lab.client.run(['curl', '-sf', `${RACKBOOT_URL}/healthz`])).code === 0,
    );
  }

  #open() {
    return openStore(siteAt(this.site, defaultConfig()));
  }
}

export function nodeName(index: number): string {
  return `n${String(index).padStart(5, '0')}`;
}

export function macOf(index: number): string {
  return `52:54:00:00:${hex(index >> 8)}:${hex(index & 255)}`;
}

export function addressOf(index: number): string {
  return `10.91.${index >> 8}.${index & 255}`;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

/** Bytes that cannot be compressed, 64 MiB of them over and over. */
async function writeRandom(file: string, size: number): Promise<void> {
  const block = randomBytes(Math.min(size, 64 * 1024 * 1024));
  const handle = await open(file, 'wx');
  try {
    for (let left = size; left > 0; left -= block.length)
      await handle.writeFile(block.subarray(0, Math.min(left, block.length)));
  } finally {
    await handle.close();
  }
}
