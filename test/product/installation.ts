import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BootSource } from '../../src/demo/qemu.js';
import type { EventRecord } from '../../src/store/records.js';
import { LabSite, type LabNode } from '../e2e/lab-site.js';
import { testProduct, type Product } from './product.js';

/** The longest that an installation may take on busy processors, in milliseconds. */
export const INSTALLATION_LIMIT_MS = 8 * 60_000;

/** What a layer of the test adds to the kernel line. */
export const RACK_ARGUMENT = 'rack7=yes';

/** A site that serves the product as osimage `xcp`, with its driver, boot arguments and answer file out of layers. */
export async function openProductSite(
  nodes: readonly LabNode[],
): Promise<{ readonly site: LabSite; readonly product: Product }> {
  const product = await testProduct();
  const site = await LabSite.open(nodes, async (opened) => {
    await addOsimage(opened, product, 'xcp', product.iso);
  });
  return { site, product };
}

/** Imports `media` as `name` and builds it with the product's missing driver and the layers for XCP-ng. */
export async function addOsimage(
  site: LabSite,
  product: Product,
  name: string,
  media: string,
): Promise<void> {
  const layer = join(site.dir, 'rack7');
  await mkdir(join(layer, 'drivers'), { recursive: true });
  for (const module of await readdir(product.drivers))
    await cp(join(product.drivers, module), join(layer, 'drivers', module));
  await writeFile(join(layer, 'bootargs'), `${RACK_ARGUMENT}\n`);
  await site.rackboot('image', 'import', media, '--name', name);
  await site.rackboot('image', 'build', name, '--layers', `${layer}:xcp-ng-8.3`);
}

/** What an installation came to. */
export interface Installation {
  readonly said: string; // what the installer wrote on its console, a line each
  readonly events: readonly EventRecord[]; // of the node
}

/** Boots the node from `boot` and waits until its installer is done, well or badly, and the machine has reset. */
export async function install(site: LabSite, node: LabNode, boot: BootSource): Promise<Installation> {
  const after = await site.store.events.lastId();
  const text = await site.withMachine(node, boot, async (machine) => {
    try {
      const done = /installer: script installation-complete ended/;
      await machine.waitFor(done, { withinMs: INSTALLATION_LIMIT_MS });
    } catch (error) {
      throw new Error(`not installed; last on the console:\n${machine.serial.text.slice(-3000)}`, {
        cause: error,
      });
    }
    await machine.ended;
    return machine.serial.text;
  });
  const said = text
    .split('\n')
    .filter((line) => line.includes('installer: '))
    .map((line) => line.slice(line.indexOf('installer: ') + 'installer: '.length).trim())
    .join('\n');
  const events = (await site.store.events.since(after, 1000)).filter((event) => event.node === node.name);
  return { said, events };
}
