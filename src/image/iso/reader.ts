import { ImageError } from '../errors.js';
import { decodeBootCatalog, type BootImage } from './el-torito.js';
import { printable } from '../printable.js';
import { MetadataReader, readRanges, type IsoSource } from './source.js';
import { decodeSystemArea, type SystemArea } from './system-area.js';
import { findRockRidge, TreeWalk, type IsoNode, type Namespace } from './tree.js';
import { readUdfTree } from './udf/tree.js';
import { readUdfVolume, type UdfVolume } from './udf/volume.js';
import { FIRST_DESCRIPTOR, readVolumes, SECTOR, type IsoVolume, type VolumeSet } from './volume.js';

/** An ISO image, read: everything but the files' bytes. */
export interface IsoImage {
  readonly source: IsoSource;
  readonly volumes: VolumeSet['volumes']; // of ISO 9660, the primary one first; none where there is only UDF
  readonly boot: readonly BootImage[]; // El Torito
  readonly systemArea: SystemArea;
  readonly udf: UdfVolume | null;
  readonly udfProblem: string | null; // why a UDF file system that lies beside ISO 9660 was not read
  readonly namespace: Namespace; // where the names of `nodes` come from
  readonly nodes: readonly IsoNode[]; // sorted by path, without the root
}

/** A million entries: ten times what the largest distribution media hold. */
const MAX_ENTRIES = 1_000_000;

/**
 * Reads the volume descriptors, boot catalog and directory tree of an ISO 9660 or UDF image: names from Rock Ridge, else
 * UDF, else Joliet, else plain. Throws ImageError for anything damaged or hostile, after work bounded by the image's size.
 */
export async function openIso(source: IsoSource, options: { maxEntries?: number } = {}): Promise<IsoImage> {
  const reader = new MetadataReader(source, 2 * source.size + 1024 * 1024);
  const maxEntries = options.maxEntries ?? MAX_ENTRIES;
  const systemArea =
    source.size < FIRST_DESCRIPTOR * SECTOR
      ? Buffer.alloc(FIRST_DESCRIPTOR * SECTOR)
      : await reader.read('The system area', 0, FIRST_DESCRIPTOR * SECTOR);
  const set = await readVolumes(reader);
  const boot =
    set.bootCatalog === null
      ? []
      : decodeBootCatalog(await reader.read('The El Torito boot catalog', set.bootCatalog * SECTOR, SECTOR));
  const [primary] = set.volumes;
  const skip = primary === undefined ? null : await findRockRidge(reader, primary);
  const found = { source, volumes: set.volumes, boot, systemArea: decodeSystemArea(systemArea) };
  const udf = set.udf ? await readUdf(reader, maxEntries, primary, skip !== null) : {};
  const about = { udf: udf.volume ?? null, udfProblem: udf.problem ?? null };
  if (udf.nodes !== undefined) return { ...found, ...about, namespace: 'udf', nodes: udf.nodes };
  if (primary === undefined) throw new ImageError('BAD_ISO', 'The image holds no file system.');
  const joliet = set.volumes.find((volume) => volume.kind === 'joliet');
  const volume = skip === null && joliet !== undefined ? joliet : primary;
  const walk = new TreeWalk(reader, volume, { skip: volume === primary ? skip : null, maxEntries });
  const nodes = await walk.run();
  return { ...found, ...about, namespace: walk.namespace, nodes };
}

/**
 * The UDF file system, with its tree unless Rock Ridge names the files. Beside ISO 9660, that it cannot be read is no
 * error: the reason is given back.
 */
async function readUdf(
  reader: MetadataReader,
  maxEntries: number,
  primary: IsoVolume | undefined,
  hasRockRidge: boolean,
): Promise<{ readonly volume?: UdfVolume; readonly nodes?: readonly IsoNode[]; readonly problem?: string }> {
  try {
    const volume = await readUdfVolume(reader);
    return hasRockRidge ? { volume } : { volume, nodes: await readUdfTree(reader, volume, maxEntries) };
  } catch (error) {
    if (primary !== undefined && error instanceof ImageError) return { problem: error.message };
    throw error;
  }
}

/** What the image is called: by its ISO 9660 volume, else its UDF one. */
export function volumeIdOf({ volumes, udf }: Pick<IsoImage, 'volumes' | 'udf'>): string {
  return volumes[0]?.volumeId ?? udf?.volumeId ?? '';
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
  return readRanges(image.source, node.runs ?? node.extents);
}
