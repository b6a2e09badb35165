import { ImageError } from '../errors.js';
import { decodeBootCatalog, type BootImage } from './el-torito.js';
import { printable } from './printable.js';
import { MetadataReader, readRanges, type IsoSource } from './source.js';
import { decodeSystemArea, type SystemArea } from './system-area.js';
import { findRockRidge, TreeWalk, type IsoNode, type Namespace } from './tree.js';
import { FIRST_DESCRIPTOR, readVolumes, SECTOR, type VolumeSet } from './volume.js';

/** An ISO image, read: everything but the files' bytes. */
export interface IsoImage {
  readonly source: IsoSource;
  readonly volumes: VolumeSet['volumes']; // the primary one first
  readonly boot: readonly BootImage[]; // El Torito
  readonly systemArea: SystemArea;
  readonly udf: boolean; // a UDF file system lies beside this one and was not read
  readonly namespace: Namespace; // where the names of `nodes` come from
  readonly nodes: readonly IsoNode[]; // sorted by path, without the root
}

/** A million entries: ten times what the largest distribution media hold. */
const MAX_ENTRIES = 1_000_000;

/**
 * Reads the volume descriptors, boot catalog and directory tree of an ISO 9660 image: names from Rock Ridge, else
 * Joliet, else plain. Throws ImageError for anything damaged or hostile, after work bounded by the image's size.
 */
export async function openIso(source: IsoSource, options: { maxEntries?: number } = {}): Promise<IsoImage> {
  const reader = new MetadataReader(source, 2 * source.size + 1024 * 1024);
  const systemArea =
    source.size < FIRST_DESCRIPTOR * SECTOR
      ? Buffer.alloc(FIRST_DESCRIPTOR * SECTOR)
      : await reader.read('The system area', 0, FIRST_DESCRIPTOR * SECTOR);
  const { volumes, bootCatalog, udf } = await readVolumes(reader);
  const boot =
    bootCatalog === null
      ? []
      : decodeBootCatalog(await reader.read('The El Torito boot catalog', bootCatalog * SECTOR, SECTOR));
  const walk = await chooseTree(reader, volumes, options.maxEntries ?? MAX_ENTRIES);
  const nodes = await walk.run();
  return {
    source,
    volumes,
    boot,
    systemArea: decodeSystemArea(systemArea),
    udf,
    namespace: walk.namespace,
    nodes,
  };
}

async function chooseTree(
  reader: MetadataReader,
  volumes: VolumeSet['volumes'],
  maxEntries: number,
): Promise<TreeWalk> {
  const [primary] = volumes;
  const skip = await findRockRidge(reader, primary);
  const joliet = volumes.find((volume) => volume.kind === 'joliet');
  const volume = skip === null && joliet !== undefined ? joliet : primary;
  return new TreeWalk(reader, volume, { skip: volume === primary ? skip : null, maxEntries });
}

/** The node at `path`, a leading `/` allowed. Throws NO_SUCH_ENTRY. */
export function findNode(image: IsoImage, path: string): IsoNode {
  const wanted = path
    .split('/')
    .filter((component) => component !== '' && component !== '.')
    .join('/');
  const node = image.nodes.find((candidate) => candidate.path === wanted);
  if (node === undefined) {
    throw new ImageError(
      'NO_SUCH_ENTRY',
      `The image holds no /${printable(wanted)}. List what it holds with \`rackboot iso ls\`.`,
    );
  }
  return node;
}

/** The bytes of a file, in buffers of at most 1 MiB. Throws NOT_A_FILE, or UNKNOWN_CODEC for a zisofs file. */
export function readNode(image: IsoImage, node: IsoNode): AsyncGenerator<Buffer> {
  if (node.kind !== 'file') {
    throw new ImageError(
      'NOT_A_FILE',
      `/${printable(node.path)} is a ${node.kind}, which has no bytes of its own. Name a file.`,
    );
  }
  if (node.compressed) {
    throw new ImageError(
      'UNKNOWN_CODEC',
      `/${printable(node.path)} is stored as zisofs, which rackboot does not decompress. Mount the image to read it.`,
    );
  }
  return readRanges(image.source, node.extents);
}
