import { readNode, volumeIdOf, type IsoImage } from '../image/iso/reader.js';
import { isVolumeId } from '../image/iso/request.js';
import { answerOnIso } from './answer-on-iso.js';
import { OsimageError } from './errors.js';
import { defaultVolumeId, ISO_FACTS, type IsoMenus, type IsoStatement } from './iso.js';
import { menuPaths, placedArtifacts } from './iso-places.js';
import { manifestOf, shortId } from './manifest.js';
import type { GenerationRecord } from '../store/records.js';
import type { GenerationManifest } from './types.js';

/** What an ISO says it is; to be believed only when the ISO made anew from it is the same. */
export interface IsoClaims {
  readonly volumeId: string;
  readonly netinstall: boolean;
  /** Of a node's own ISO: whose it is, and its menus, which hold tokens that are never issued twice. */
  readonly own?: { readonly node: string; readonly menus: IsoMenus; readonly answer?: string };
}

const MAX_STATEMENT = 4096; // bytes
const MAX_MENU = 1024 * 1024; // bytes

/** What `image` says of itself. Throws OsimageError BAD_SOURCE when it says to be of another generation, or nothing. */
export async function readClaims(image: IsoImage, record: GenerationRecord): Promise<IsoClaims> {
  const statement = await readStatement(image);
  if (statement === 'none' || (statement !== 'damaged' && statement.generation !== record.id)) {
    const of =
      statement === 'none'
        ? 'was not made by rackboot'
        : `holds ${statement.osimage}@${shortId(statement.generation)}`;
    throw new OsimageError(
      'BAD_SOURCE',
      `this ISO ${of}, not ${record.osimage}@${shortId(record.id)}; make it again with: rackboot image iso ${record.osimage} -o FILE`,
    );
  }
  const paths = new Set(image.nodes.map((node) => node.path));
  const manifest = manifestOf(record);
  const packages = placedArtifacts(manifest).filter(({ isPackages }) => isPackages);
  const node = statement === 'damaged' ? undefined : statement.node;
  const answer =
    statement !== 'damaged' && statement.answer === true ? await answerOnIso(image, manifest) : undefined;
  return {
    volumeId: isVolumeId(volumeIdOf(image)) ? volumeIdOf(image) : defaultVolumeId(record),
    // Not from the statement: one bit of it must not excuse a whole tree.
    netinstall:
      packages.length === 0
        ? statement !== 'damaged' && statement.netinstall
        : packages.every(({ isoPath }) => !paths.has(isoPath)),
    ...(node === undefined
      ? {}
      : {
          own: {
            node,
            menus: await readMenus(image, manifest),
            ...(answer === undefined ? {} : { answer }),
          },
        }),
  };
}

async function readStatement(image: IsoImage): Promise<IsoStatement | 'none' | 'damaged'> {
  const text = await readText(image, ISO_FACTS, MAX_STATEMENT);
  if (text === undefined) return 'none';
  try {
    const value: unknown = JSON.parse(text);
    return isStatement(value) ? value : 'damaged';
  } catch {
    return 'damaged';
  }
}

function isStatement(value: unknown): value is IsoStatement {
  if (typeof value !== 'object' || value === null) return false;
  if (!('osimage' in value && 'generation' in value && 'netinstall' in value)) return false;
  return (
    typeof value.osimage === 'string' &&
    typeof value.generation === 'string' &&
    typeof value.netinstall === 'boolean' &&
    (!('node' in value) || typeof value.node === 'string') &&
    (!('answer' in value) || value.answer === true)
  );
}

async function readMenus(image: IsoImage, manifest: GenerationManifest): Promise<IsoMenus> {
  const { isolinux, grub } = menuPaths(manifest);
  return {
    isolinux: (await readText(image, isolinux[0] ?? '', MAX_MENU)) ?? '',
    grub: (await readText(image, grub[0] ?? '', MAX_MENU)) ?? '',
  };
}

async function readText(image: IsoImage, path: string, limit: number): Promise<string | undefined> {
  const node = image.nodes.find((candidate) => candidate.path === path);
  if (node === undefined || node.kind !== 'file' || node.size > limit) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of readNode(image, node)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
