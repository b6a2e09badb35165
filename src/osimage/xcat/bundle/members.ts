import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../../errors.js';
import { XCAT_MANIFEST } from '../../bundle/detect.js';
import { encodeStatement, XCAT_STATEMENT, type Statement } from '../../bundle/statement.js';
import { OsimageError } from '../../errors.js';
import { directory, literal, type Member } from '../../export/tar-members.js';
import { listDirectory, localFile } from '../../source/directory.js';
import type { SourceFile } from '../../source/source.js';
import type { Artifact, GenerationManifest } from '../../types.js';
import { OSIMAGE_ATTRIBUTES } from '../attributes.js';
import { impliedAttributes } from './implied.js';
import { fileOfItem, itemsOf, LISTS } from './lists.js';
import { isOsimageColumn, writeXcatManifest } from './manifest.js';

/** What imgexport puts into a bundle besides the osimage. */
export interface XcatExtras {
  /** `SRC[:DESTDIR]` each: files and directories of this machine. */
  readonly extras: readonly string[];
  /** Of a node: its attributes `postscripts` and `postbootscripts`. */
  readonly postscripts?: ReadonlyMap<string, string>;
}

/** What imgimport wants every manifest to say. */
const REQUIRED = ['osvers', 'osarch', 'profile'] as const;

/**
 * The members of xCAT's bundle of the osimage `name`, as imgexport lays them out; and what is not among them, a line
 * each. Throws OsimageError BAD_SETTING, BAD_BUNDLE, BAD_SOURCE.
 */
export async function xcatMembers(
  name: string,
  manifest: GenerationManifest,
  statement: Statement,
  { extras, postscripts }: XcatExtras,
  read: (path: string, artifact: Artifact) => Promise<Member>,
): Promise<{ readonly members: readonly Member[]; readonly notes: readonly string[] }> {
  const { settings } = manifest.inputs;
  const missing = REQUIRED.filter((field) => (settings[field] ?? '') === '');
  if (missing.length > 0) {
    throw new OsimageError(
      'BAD_SETTING',
      `${name}: ${missing.join(', ')} not set, which xCAT's bundles say; set them: rackboot image set ${name} ${missing.map((field) => `${field}=…`).join(' ')}`,
    );
  }
  const top = `./${name}`;
  const attributes = new Map([...Object.entries(settings), ...impliedAttributes(settings)]);
  const attached = new Map((manifest.attached?.files ?? []).map((file) => [file.path, file]));
  const lists = await listsOf(name, settings, attached);
  const more = await Promise.all(extras.map(readExtra));
  const rows = [...(manifest.attached?.extras ?? []), ...more.map(({ row }) => row)];
  const xml = writeXcatManifest({
    ...tablesOf(name, attributes),
    plain: new Map([...placesOf(manifest, attributes), ...(postscripts ?? [])]),
    extras: rows,
  });
  const scripts = new Set(
    itemsOf(settings['postinstall'] ?? '').map((item) => path.basename(fileOfItem(item))),
  );
  // genimage runs no script that is not executable.
  const modeOf = (file: string): number => (scripts.has(file) ? 0o755 : 0o644);
  const kept = [...attached.values()].map(async (file) => ({
    ...(await read(`${top}/${file.path}`, file)),
    mode: modeOf(file.path),
  }));
  const local = [
    ...lists.files.map((file) => memberOf(top, file, modeOf(file.path))),
    ...more.flatMap(({ files }) => files.map(({ file, mode }) => memberOf(top, file, mode))),
  ];
  const members = [
    directory('./'),
    directory(`${top}/`),
    literal(`${top}/${XCAT_MANIFEST}`, Buffer.from(xml)),
    literal(`${top}/${XCAT_STATEMENT}`, encodeStatement(statement)),
    ...(await Promise.all(manifest.files.map((file) => read(`${top}/${file.path}`, file)))),
    ...(await Promise.all(kept)),
    ...local,
  ];
  requireDistinct(members);
  return { members, notes: lists.notes };
}

const memberOf = (top: string, file: SourceFile, mode: number): Member => ({
  path: `${top}/${file.path}`,
  mode,
  size: file.size,
  read: () => file.read(),
});

/** The rows of xCAT's two tables. */
function tablesOf(
  name: string,
  attributes: ReadonlyMap<string, string>,
): { readonly osimage: Map<string, string>; readonly linuximage: Map<string, string> } {
  const osimage = new Map([['imagename', name]]);
  const linuximage = new Map([['imagename', name]]);
  for (const [key, value] of attributes) {
    if (!OSIMAGE_ATTRIBUTES.includes(key)) continue;
    (isOsimageColumn(key) ? osimage : linuximage).set(key === 'usercomment' ? 'comments' : key, value);
  }
  return { osimage, linuximage };
}

/** Where imgimport is to put the boot files. */
function placesOf(
  { files }: GenerationManifest,
  attributes: ReadonlyMap<string, string>,
): [string, string][] {
  const provmethod = attributes.get('provmethod');
  if (provmethod !== 'netboot' && provmethod !== 'statelite') return [['media', 'required']];
  const rootimgdir = attributes.get('rootimgdir') ?? '';
  return files.map(({ path: file }): [string, string] => [
    FIELDS[file] ?? 'rootimg',
    path.posix.join(rootimgdir, file),
  ]);
}

const FIELDS: Readonly<Record<string, string>> = {
  kernel: 'kernel',
  'initrd-stateless.gz': 'ramdisk',
  'initrd-statelite.gz': 'ramdisk',
  'rootimgtree.gz': 'rootimgtree',
};

/** The files that attributes name and that did not come with the osimage: those of this machine. */
async function listsOf(
  name: string,
  settings: Readonly<Record<string, string>>,
  attached: ReadonlyMap<string, Artifact>,
): Promise<{ readonly files: readonly SourceFile[]; readonly notes: readonly string[] }> {
  const files = new Map<string, SourceFile>();
  const from = new Map<string, string>();
  const notes: string[] = [];
  for (const attribute of LISTS) {
    for (const file of itemsOf(settings[attribute] ?? '').map(fileOfItem)) {
      const base = path.posix.basename(file);
      const other = from.get(base);
      if (other !== undefined && other !== file) {
        throw new OsimageError(
          'BAD_BUNDLE',
          `${name}: ${other} and ${file} have one name, and a bundle has one directory for both; rename one of them`,
        );
      }
      from.set(base, file);
      if (attached.has(base) || files.has(base)) continue;
      const info = path.isAbsolute(file) ? await stat(file).catch(() => undefined) : undefined;
      if (info?.isFile() === true) files.set(base, localFile(base, file, info.size));
      else notes.push(`${attribute}: ${file}: no such file here; left out`);
    }
  }
  return { files: [...files.values()], notes };
}

/** A file or directory that is to go along, `SRC[:DESTDIR]`, as imgexport -e takes it. */
async function readExtra(text: string): Promise<{
  readonly row: { readonly src: string; readonly dest: string };
  readonly files: readonly { readonly file: SourceFile; readonly mode: number }[];
}> {
  const [, named = text, dest] = /^(.*?):(\/.*)$/.exec(text) ?? [];
  const src = path.resolve(named);
  const info = await stat(src).catch((error: unknown) => {
    throw new OsimageError(
      'BAD_SOURCE',
      `${named}: cannot be read (${codeOf(error) ?? 'unknown error'}); name a file or directory with --extra`,
      { cause: error },
    );
  });
  if (info.isDirectory()) {
    const files = await listDirectory(await realpath(src), { rootTrees: 'as files' });
    const placed = files.map(async (file) => ({
      file: { ...file, path: `extra${src}/${file.path}` },
      mode: modeOnDisk(await stat(file.where)),
    }));
    return { row: { src, dest: dest ?? src }, files: await Promise.all(placed) };
  }
  if (!info.isFile()) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${named}: is neither a file nor a directory; name one with --extra`,
    );
  }
  const base = path.basename(src);
  return {
    row: { src, dest: dest ?? path.dirname(src) },
    files: [{ file: localFile(`extra/${base}`, src, info.size), mode: modeOnDisk(info) }],
  };
}

/** Of the permissions of a file only whether it is a program is told: whose it was, nobody elsewhere is. */
const modeOnDisk = ({ mode }: Stats): number => ((mode & 0o111) === 0 ? 0o644 : 0o755);

function requireDistinct(members: readonly Member[]): void {
  const seen = new Set<string>();
  for (const { path: member } of members) {
    if (seen.has(member)) {
      throw new OsimageError(
        'BAD_BUNDLE',
        `${member} would stand in the bundle twice; rename the list or extra of that name`,
      );
    }
    seen.add(member);
  }
}
