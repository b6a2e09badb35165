import path from 'node:path';
import type { Store } from '../../store/records.js';
import { DEFAULT_LIMITS, type UnpackLimits } from '../../image/unpack-limits.js';
import { OsimageError } from '../errors.js';
import { checkName, requireFree } from '../find.js';
import { publishImport, type ImportResult } from '../publish-import.js';
import { readXcatBundle } from '../xcat/bundle/read.js';
import { STATEMENT, XCAT_MANIFEST } from './detect.js';
import { readOwnBundle, type BundledOsimage } from './own.js';
import type { BundleSource } from './open.js';
import { unpackBundle, type UnpackedBundle } from './unpack.js';

/** What is asked of the osimage in a bundle. */
export interface BundleRequest {
  readonly name?: string; // else the bundle's
  readonly family?: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly profile?: string;
  readonly postscripts?: readonly string[]; // nodes that get the bundle's postscripts
  readonly limits?: UnpackLimits;
  readonly onProgress?: (file: string, done: number, total: number) => void;
}

/**
 * Makes the osimage that a bundle holds: rackboot's own, or xCAT's. The bundle is unpacked in the site; nothing of it is
 * visible before all of it is stored. Throws as importOsimage does.
 */
export async function importBundle(
  store: Store,
  bundle: BundleSource,
  request: BundleRequest,
): Promise<ImportResult> {
  const { where } = bundle;
  if ((request.family ?? request.kernel ?? request.initrd) !== undefined) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: a bundle says itself what it holds; leave --family, --kernel and --initrd out`,
    );
  }
  return store.scratch(async (directory) => {
    const limits = request.limits ?? DEFAULT_LIMITS;
    const bytes = bundle.read((done, total) => request.onProgress?.(path.basename(where), done, total));
    const unpacked = await unpackBundle(bytes, directory, where, limits);
    const osimage = await readBundle(unpacked, where, request.profile);
    const name = checkName(request.name ?? osimage.name);
    await requireFree(store, name);
    const layout = osimage.layout(name);
    const scripts = [...(osimage.scripts ?? [])];
    const { postscripts: nodes } = request;
    const notes = [...unpacked.notes, ...layout.notes];
    if (nodes === undefined && scripts.length > 0) notes.push(unsetScripts(scripts));
    if (nodes !== undefined && scripts.length === 0) notes.push(`${where}: brings no postscripts`);
    const attributes = (nodes ?? []).flatMap((node) => scripts.map(([key, value]) => ({ node, key, value })));
    const { brought, archive } = osimage;
    return publishImport(
      store,
      { name, from: where, layout: { ...layout, notes }, brought, attributes },
      { ...request, limits, ...archive },
    );
  });
}

function unsetScripts(scripts: readonly (readonly [string, string])[]): string {
  const list = scripts.map(([name, value]) => `${name}=${value}`).join(' ');
  return `${list}: set of no node; import with --postscripts NODERANGE, or use: rackboot node set`;
}

/** The osimage in an unpacked bundle. */
async function readBundle(
  { files }: UnpackedBundle,
  where: string,
  profile: string | undefined,
): Promise<BundledOsimage> {
  const own = files.find(({ path }) => path === STATEMENT);
  if (own !== undefined) {
    if (profile === undefined) return readOwnBundle(own, files, where);
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: no bundle of xCAT's, whose profile could be renamed; leave --profile out`,
    );
  }
  const directories = new Set(files.map(({ path }) => path.split('/')[0] ?? ''));
  const [directory] = directories;
  if (directory === undefined || !files.some(({ path }) => path === `${directory}/${XCAT_MANIFEST}`)) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: holds no ${XCAT_MANIFEST} in its one directory, and no ${STATEMENT}; give what imgexport or rackboot image export wrote`,
    );
  }
  if (directories.size > 1) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: holds ${directories.size} osimages (${[...directories].slice(0, 4).join(', ')}); export each into a bundle of its own`,
    );
  }
  const inside = files.map((file) => ({ ...file, path: file.path.slice(directory.length + 1) }));
  return readXcatBundle(inside, where, profile);
}
