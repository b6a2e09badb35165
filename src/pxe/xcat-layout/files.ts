import { readFile } from 'node:fs/promises';
import { codeOf } from '../../errors.js';
import { stateText } from '../../node/xcat/state.js';
import { osimageObject } from '../../osimage/xcat/attributes.js';
import type { NodeRecord } from '../../store/records.js';
import { bootScript, generationFor } from '../boot/decide-boot.js';
import { CORE_FILES } from '../boot/grub-core.js';
import type { BootService } from '../boot/service.js';
import { readXcatPath, type NodeName, type XcatPath } from './path.js';
import {
  renderXcatGrub,
  renderXcatPxelinux,
  renderXnba,
  renderXnbaDiscovery,
  type XcatFacts,
} from './render.js';

/** Where xCAT's package of its loader puts it. */
const XNBA_DIRECTORY = '/tftpboot/xcat';

/** What stands at a path of xCAT's layout. */
export type XcatFile =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'loader'; readonly bytes: Buffer }
  /** A file of a generation: what is current now. */
  | { readonly kind: 'artifact'; readonly osimage: string; readonly id: string; readonly path: string };

/** Who asks, and by which protocol. */
export interface XcatClient {
  readonly address: string;
  readonly transport: 'http' | 'tftp';
}

/**
 * What stands at `path` below xCAT's tftpdir, rendered for the node as it is now; undefined for nothing, and always
 * unless `xcat.paths` is on. A node that is offline has no configuration, as in xCAT.
 */
export async function openXcatFile(
  service: BootService,
  path: string,
  client: XcatClient,
): Promise<XcatFile | undefined> {
  if (service.config.xcat.paths !== 'on') return undefined;
  const read = readXcatPath(path);
  switch (read?.kind) {
    case undefined:
      return undefined;
    case 'discovery':
      return { kind: 'text', text: renderXnbaDiscovery(service.serverUrl()) };
    case 'config':
      return openConfig(service, read, client);
    case 'grub':
      return openGrub(service, read.node);
    case 'xnba-loader':
      return openXnba(read.file);
    case 'boot-file':
      return findBootFile(service, read);
  }
}

async function openConfig(
  service: BootService,
  { loader, of }: Extract<XcatPath, { kind: 'config' }>,
  client: XcatClient,
): Promise<XcatFile | undefined> {
  const node = await nodeOf(service, of);
  if (node === undefined) return undefined;
  const assignment = await service.store.nodes.assignment(node.name);
  if (assignment?.state === 'offline') return undefined;
  const generation = await generationFor(service, assignment).catch(() => undefined);
  const facts: XcatFacts = {
    state: stateText(assignment, generation && osimageObject(generation.manifest)),
    self: `${service.serverUrl()}/nodes/${node.name}/boot.ipxe`,
    transport: client.transport,
    arch: node.attributes['arch'] ?? '',
  };
  const text = await bootScript(service, {
    node,
    client: client.address,
    render: (plan) =>
      loader === 'grub'
        ? renderXcatGrub(plan, facts)
        : loader === 'pxelinux'
          ? renderXcatPxelinux(plan, facts)
          : renderXnba(plan, facts, loader === 'xnba-uefi'),
  });
  return { kind: 'text', text };
}

async function nodeOf(service: BootService, of: NodeName): Promise<NodeRecord | undefined> {
  const { nodes } = service.store;
  return 'node' in of ? nodes.get(of.node) : nodes.byIp(of.address);
}

/** A GRUB that asks us, for a node that is to boot something; without one firmware goes on to the disk. */
async function openGrub(service: BootService, name: string): Promise<XcatFile | undefined> {
  const assignment = await service.store.nodes.assignment(name);
  if (assignment?.state !== 'osimage') return undefined;
  const loader = await service.loaders.open(CORE_FILES['x86_64-efi']);
  return loader && { kind: 'loader', bytes: loader.bytes };
}

async function openXnba(file: string): Promise<XcatFile | undefined> {
  try {
    return { kind: 'loader', bytes: await readFile(`${XNBA_DIRECTORY}/${file}`) };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function findBootFile(
  service: BootService,
  { osimage, part }: Extract<XcatPath, { kind: 'boot-file' }>,
): Promise<XcatFile | undefined> {
  const current = await service.generations.current(osimage);
  const [entry] = current?.manifest.boot ?? [];
  const path = part === 'kernel' ? entry?.kernel : entry?.initrds[0];
  return current === undefined || path === undefined
    ? undefined
    : { kind: 'artifact', osimage, id: current.id, path };
}
