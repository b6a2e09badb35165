import { collect } from '../../image/chunks.js';
import { OsimageError } from '../errors.js';
import type { MediaLayout } from '../family/layout.js';
import type { MediaLoaders } from '../family/loaders.js';
import type { ReadOptions } from '../import-files.js';
import type { Brought } from '../publish-import.js';
import { readText, type SourceFile } from '../source/source.js';
import { fitting } from './fitting.js';
import { MAX_STATEMENT, parseStatement, type StatedFile, type Statement } from './statement.js';

/** The osimage in a bundle. */
export interface BundledOsimage {
  readonly name: string; // as the bundle calls it
  /** Its files, for an osimage called `name`. */
  readonly layout: (name: string) => MediaLayout;
  /** What it takes to read its archive to the same bytes. */
  readonly archive?: Pick<ReadOptions, 'cuts' | 'whole'>;
  readonly brought: Brought;
  /** Of the node that it was exported with: `postscripts`, `postbootscripts`. */
  readonly scripts?: ReadonlyMap<string, string>;
}

/** The statement in `file`. Throws OsimageError BAD_BUNDLE. */
export async function readStatement(file: SourceFile): Promise<Statement> {
  if (file.size > MAX_STATEMENT) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${file.where}: ${file.size} bytes, which no rackboot wrote; export it again`,
    );
  }
  return parseStatement(await readText(file, MAX_STATEMENT), file.where);
}

/** The osimage in a bundle of rackboot's own, whose files are `files`. Throws OsimageError BAD_BUNDLE. */
export async function readOwnBundle(
  own: SourceFile,
  files: readonly SourceFile[],
  where: string,
): Promise<BundledOsimage> {
  const statement = await readStatement(own);
  const { archive, answer, attached } = statement;
  const find = findIn(files, where);
  const stated = new Map<SourceFile, StatedFile>();
  const take = (directory: string, file: StatedFile): SourceFile => {
    const found = { ...find(`${directory}/${file.path}`, file), path: file.path };
    stated.set(found, file);
    return found;
  };
  const placed = statement.files.map((file) => ({ file: take('files', file), as: file.path }));
  const main = placed.find(({ as }) => as === archive?.path);
  if (archive !== undefined && main === undefined) throw missing(where, `files/${archive.path}`);
  const tree = statement.tree.map((file) => take('tree', file));
  const kept = (attached?.files ?? []).map((file) => take('attached', file));
  const loaders = await loadersOf(statement, take);
  const layout: MediaLayout = {
    family: statement.family,
    files: placed.filter((file) => file !== main),
    ...(main === undefined ? {} : { archive: main }),
    tree,
    boot: bootOf(statement, where),
    ...(loaders === undefined ? {} : { loaders }),
    attached: kept,
    notes: [],
  };
  return {
    name: statement.osimage,
    layout: () => layout,
    ...(archive === undefined ? {} : { archive: layoutOf(archive) }),
    brought: {
      settings: statement.settings,
      extras: attached?.extras ?? [],
      engine: statement.engine,
      ...(answer === undefined
        ? {}
        : {
            answer: {
              name: answer.name,
              template: await collect(find(answer.file.path, answer.file).read()),
            },
          }),
      judge: fitting(statement, stated, where),
    },
  };
}

/** How the archive of a statement is read. */
export const layoutOf = ({
  cuts,
  whole,
}: NonNullable<Statement['archive']>): Pick<ReadOptions, 'cuts' | 'whole'> => ({
  ...(cuts.length === 0 ? {} : { cuts }),
  ...(whole === undefined ? {} : { whole }),
});

/** The boot entries of a statement, whose files must be among its own. Throws OsimageError BAD_BUNDLE. */
export function bootOf({ boot, files }: Statement, where: string): Statement['boot'] {
  const there = new Set(files.map(({ path }) => path));
  for (const entry of boot) {
    const named = [entry.kernel, ...entry.initrds, ...(entry.kind === 'xen' ? [entry.hypervisor] : [])];
    const lost = named.find((name) => !there.has(name));
    if (lost !== undefined) throw missing(where, `files/${lost}`);
  }
  return boot;
}

function missing(where: string, path: string): OsimageError {
  return new OsimageError(
    'BAD_BUNDLE',
    `${where}: ${path} is named in it and missing; the bundle is not whole, export it again`,
  );
}

function findIn(
  files: readonly SourceFile[],
  where: string,
): (path: string, stated: StatedFile) => SourceFile {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return (path, { size }) => {
    const found = byPath.get(path);
    if (found === undefined) throw missing(where, path);
    if (found.size === size) return found;
    throw new OsimageError(
      'BAD_BUNDLE',
      `${found.where}: ${found.size} bytes, where the bundle says ${size}; it was changed, export the osimage again`,
    );
  };
}

/** What boots the osimage's ISO. */
async function loadersOf(
  { disc }: Statement,
  take: (directory: string, file: StatedFile) => SourceFile,
): Promise<MediaLoaders | undefined> {
  if (disc === undefined) return undefined;
  const { bios, uefi, ...rest } = disc;
  const code = bios?.bootCode === undefined ? undefined : take('disc', bios.bootCode);
  return {
    ...rest,
    ...(bios === undefined
      ? {}
      : {
          bios: {
            image: take('disc', bios.image),
            ...(code === undefined ? {} : { bootCode: await collect(code.read()) }),
            ...(bios.isGrub === undefined ? {} : { isGrub: bios.isGrub }),
          },
        }),
    ...(uefi === undefined ? {} : { uefi: { image: take('disc', uefi.image) } }),
  };
}
