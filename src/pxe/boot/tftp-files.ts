import type { NodeRecord } from '../../store/records.js';
import { openDiskFile } from '../tftp/disk-file.js';
import type { TftpClient, TftpFile, TftpFiles } from '../tftp/files.js';
import { openXcatFile } from '../xcat-layout/files.js';
import { stageOf } from './artifact-stage.js';
import { bootScript } from './decide-boot.js';
import { loaderSource } from './loader-files.js';
import { findMachine } from './machines.js';
import { renderGrub, renderGrubAsking, renderPxelinux } from './render.js';
import type { BootService } from './service.js';

/**
 * What TFTP serves: the boot loaders by name, per-node configurations under the names PXELINUX and GRUB look for, and
 * the boot files of generations under the same paths as HTTP. Everything is rendered when it is asked for.
 */
export function bootTftpFiles(service: BootService): TftpFiles {
  return {
    async open(path, client) {
      const name = loaderName(path);
      const loader = loaderSource(name, service.config);
      if (loader?.kind === 'file') return openDiskFile(loader.path);
      if (loader !== undefined) return fileOf((await service.loaders.open(name))?.bytes);
      const [, image, file] = /^images\/([^/]+)\/files\/(.+)$/.exec(path) ?? [];
      if (image !== undefined && file !== undefined) return openArtifact(service, image, file);
      return (await openConfig(service, path, client)) ?? openXcat(service, path, client);
    },
  };
}

/** The stage a TFTP transfer of `path` is of, or undefined for one that is no news. */
export async function tftpStage(
  service: BootService,
  path: string,
): Promise<{ stage: string; generation: string | null } | undefined> {
  if (loaderSource(loaderName(path), service.config) !== undefined)
    return { stage: 'loader', generation: null };
  const [, image = '', file] = /^images\/([^/]+)\/files\/(.+)$/.exec(path) ?? [];
  if (file === undefined) return undefined;
  const generation = await service.generations.named(image);
  return generation === undefined
    ? undefined
    : { stage: stageOf(generation.manifest, file), generation: generation.id };
}

async function openXcat(
  service: BootService,
  path: string,
  client: TftpClient,
): Promise<TftpFile | undefined> {
  const below = path.replace(/^tftpboot\//, '');
  const file = await openXcatFile(service, below, { address: client.address, transport: 'tftp' });
  if (file === undefined) return undefined;
  if (file.kind === 'artifact') return openArtifact(service, `${file.osimage}@${file.id}`, file.path);
  return fileOf(file.kind === 'text' ? Buffer.from(file.text) : file.bytes);
}

async function openArtifact(
  service: BootService,
  image: string,
  path: string,
): Promise<TftpFile | undefined> {
  const generation = await service.generations.named(image);
  const artifact = generation?.artifact('files', path);
  if (generation === undefined || artifact === undefined) return undefined;
  const release = await service.holds.during(generation.osimage, generation.id);
  return {
    size: artifact.size,
    async *read(start, end) {
      yield* await service.generations.read(artifact, start, end);
    },
    close: async () => release(),
  };
}

async function openConfig(
  service: BootService,
  path: string,
  client: TftpClient,
): Promise<TftpFile | undefined> {
  const config = await configNode(service, path, client);
  if (config === undefined) return undefined;
  const { node, loader } = config;
  if (loader === 'grub-asking')
    return fileOf(Buffer.from(renderGrubAsking(node.name, service.serverUrl(), 'tftp')));
  const script = await bootScript(service, {
    node,
    client: client.address,
    render: (plan) => (loader === 'grub' ? renderGrub(plan, 'tftp') : renderPxelinux(plan)),
  });
  return fileOf(Buffer.from(script));
}

/** The name of the loader that `path` is of, if it is one: beside each other at the root, or below loaders/. */
function loaderName(path: string): string {
  return path.replace(/^loaders\//, '');
}

/** Bytes in memory as a file. */
function fileOf(bytes: Buffer | undefined): TftpFile | undefined {
  if (bytes === undefined) return undefined;
  return {
    size: bytes.length,
    async *read(start, end) {
      yield bytes.subarray(start, end);
    },
    close: async () => undefined,
  };
}

/** What asks: PXELINUX; GRUB by a path of its own, which is told to ask on; GRUB that has been told. */
type ConfigLoader = 'pxelinux' | 'grub-asking' | 'grub';

interface NodeConfig {
  readonly loader: ConfigLoader;
  readonly node: NodeRecord;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The node a configuration path is for. PXELINUX asks for pxelinux.cfg/<uuid>, then 01-<mac>, then the address in
 * hexadecimal and ever shorter (only the whole one is answered), then default; GRUB for grub.cfg-01-<mac>, then
 * grub.cfg. A path that names nobody means the node with the client's address.
 */
async function configNode(
  service: BootService,
  path: string,
  client: TftpClient,
): Promise<NodeConfig | undefined> {
  const { nodes } = service.store;
  const [, name = '', file] = /^nodes\/([^/]+)\/(grub|pxelinux)\.cfg$/.exec(path) ?? [];
  if (file === 'grub' || file === 'pxelinux') return withLoader(file, await nodes.get(name));
  const [, pxelinux] = /(?:^|\/)pxelinux\.cfg\/([^/]+)$/.exec(path) ?? [];
  if (pxelinux !== undefined) {
    if (UUID.test(pxelinux)) {
      return withLoader('pxelinux', await findMachine(nodes, { macs: [], uuid: pxelinux, serial: null }));
    }
    if (/^01-/.test(pxelinux)) return withLoader('pxelinux', await byHardwareName(service, pxelinux));
    if (pxelinux !== 'default') return undefined;
    return withLoader('pxelinux', await nodes.byIp(client.address));
  }
  const [, grub] = /(?:^|\/)grub\.cfg(?:-([^/]+))?$/.exec(path) ?? [path];
  if (!/(?:^|\/)grub\.cfg/.test(path)) return undefined;
  const node = grub === undefined ? await nodes.byIp(client.address) : await byHardwareName(service, grub);
  return withLoader('grub-asking', node);
}

async function byHardwareName(service: BootService, text: string): Promise<NodeRecord | undefined> {
  return findMachine(service.store.nodes, { macs: [text.replace(/^01-/, '')], uuid: null, serial: null });
}

function withLoader(loader: ConfigLoader, node: NodeRecord | undefined): NodeConfig | undefined {
  return node === undefined ? undefined : { loader, node };
}
