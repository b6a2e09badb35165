import path from 'node:path';
import { XCAT_MANIFEST } from '../../bundle/detect.js';
import { fitting } from '../../bundle/fitting.js';
import { bootOf, layoutOf as archiveLayout, readStatement, type BundledOsimage } from '../../bundle/own.js';
import { XCAT_STATEMENT, type StatedFile, type Statement } from '../../bundle/statement.js';
import { OsimageError } from '../../errors.js';
import { readText, type SourceFile } from '../../source/source.js';
import { OSIMAGE_ATTRIBUTES } from '../attributes.js';
import { impliedAttributes } from './implied.js';
import { layoutOf } from './layout.js';
import { LISTS, withoutMissing } from './lists.js';
import { parseXcatManifest, type XcatManifest } from './manifest.js';
import { renameProfile } from './rename.js';

/** More than any manifest.xml has, bytes. */
const MAX_MANIFEST = 1024 * 1024;

/** What imgimport wants every manifest to say, in its order. */
const REQUIRED = ['imagename', 'provmethod', 'profile', 'osvers', 'osarch'];
const PROVMETHODS = ['install', 'netboot', 'statelite', 'sysclone'];
/** What a manifest says of the node that it was exported with. */
const SCRIPTS = ['postscripts', 'postbootscripts'];
/** The machines that rackboot boots. */
const BOOTED = /^(x86_64|x86|i[3-6]86|amd64|aarch64|arm64)$/;

/**
 * The osimage in the directory of a bundle of xCAT's, whose files are `files`. Of the paths in its manifest only the
 * last parts are used, to find files of the bundle. Throws OsimageError BAD_BUNDLE.
 */
export async function readXcatBundle(
  files: readonly SourceFile[],
  where: string,
  profile: string | undefined,
): Promise<BundledOsimage> {
  const file = files.find((candidate) => candidate.path === XCAT_MANIFEST);
  if (file === undefined)
    throw new OsimageError('BAD_BUNDLE', `${where}: no ${XCAT_MANIFEST}; export it again`);
  const manifest = parseXcatManifest(await readText(file, MAX_MANIFEST), file.where);
  const all = new Map([...manifest.linuximage, ...manifest.osimage]);
  requireUsable(all, file.where);
  const own = files.find((candidate) => candidate.path === XCAT_STATEMENT);
  const statement = own === undefined ? undefined : await readStatement(own);
  const described = new Set([file, own]);
  const rest = files.filter((candidate) => !described.has(candidate));
  const implied = statement === undefined ? undefined : impliedAttributes(statement.settings);
  const said = [...all].filter(([name, value]) => implied?.get(name) !== value);
  const { settings, notes } = settingsOf(said, rest, file.where);
  const { boot, attached } = layoutOf(manifest, all.get('provmethod') ?? '', rest, file.where);
  const renamed = renameProfile(
    { name: all.get('imagename') ?? '', settings, attached, extras: manifest.extras },
    profile,
  );
  const stated = statement === undefined ? undefined : statedFiles(statement, boot.sources, where);
  const scripts = [...manifest.plain].filter(([name]) => SCRIPTS.includes(name));
  return {
    name: renamed.name,
    scripts: new Map(scripts),
    layout: (name) => {
      const layout = boot.layout(name);
      return {
        ...layout,
        ...(statement === undefined || statement.boot.length === 0 ? {} : { boot: bootOf(statement, where) }),
        attached: renamed.attached,
        notes: [...notes, ...notesOf(manifest, all), ...layout.notes],
      };
    },
    ...(statement?.archive === undefined ? {} : { archive: archiveLayout(statement.archive) }),
    brought: {
      settings: { ...renamed.settings, ...ownSettings(statement) },
      extras: renamed.extras,
      ...(statement === undefined || stated === undefined
        ? {}
        : { engine: statement.engine, judge: fitting(statement, stated, where) }),
    },
  };
}

function requireUsable(all: ReadonlyMap<string, string>, where: string): void {
  const missing = REQUIRED.find((name) => !all.has(name));
  if (missing !== undefined) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: the '${missing}' field is not defined; set it with chdef -t osimage and export it again`,
    );
  }
  const [arch = '', provmethod = ''] = [all.get('osarch'), all.get('provmethod')];
  if (!BOOTED.test(arch)) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: osarch is ${arch.slice(0, 40)}; rackboot boots x86_64 and aarch64 machines only`,
    );
  }
  if (!PROVMETHODS.includes(provmethod)) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: provmethod is ${provmethod.slice(0, 40)}; rackboot takes ${PROVMETHODS.join(', ')}`,
    );
  }
}

/** The attributes of the osimage, which are its settings; lists whose files are not in the bundle are left out. */
function settingsOf(
  all: readonly (readonly [column: string, text: string])[],
  files: readonly SourceFile[],
  where: string,
): { readonly settings: Record<string, string>; readonly notes: readonly string[] } {
  const there = new Set(files.map((file) => file.path));
  const settings: Record<string, string> = {};
  const notes: string[] = [];
  for (const [column, text] of all) {
    const name = column === 'comments' ? 'usercomment' : column;
    if (name === 'imagename') continue;
    if (!OSIMAGE_ATTRIBUTES.includes(name)) {
      notes.push(`${where}: ${name.slice(0, 60)}: no attribute of an osimage; left out`);
      continue;
    }
    const { kept, lost } = LISTS.includes(name) ? withoutMissing(text, there) : { kept: text, lost: [] };
    for (const item of lost)
      notes.push(`${where}: ${name}: ${path.posix.basename(item)} is not in the bundle; ${item} is left out`);
    if (kept !== '') settings[name] = kept;
  }
  return { settings, notes };
}

/** Settings that xCAT has no attributes for. */
function ownSettings(statement: Statement | undefined): Record<string, string> {
  const entries = Object.entries(statement?.settings ?? {});
  return Object.fromEntries(entries.filter(([name]) => !OSIMAGE_ATTRIBUTES.includes(name)));
}

/** The boot files that a statement beside manifest.xml lists. Throws OsimageError BAD_BUNDLE where they are others. */
function statedFiles(
  statement: Statement,
  sources: ReadonlyMap<string, SourceFile>,
  where: string,
): Map<SourceFile, StatedFile> {
  const stated = new Map<SourceFile, StatedFile>();
  for (const file of statement.files) {
    const found = sources.get(file.path);
    if (found?.size !== file.size) {
      throw new OsimageError(
        'BAD_BUNDLE',
        `${where}: ${XCAT_STATEMENT} lists another ${file.path} than there is; take ${XCAT_STATEMENT} out of the bundle, or export it again`,
      );
    }
    stated.set(found, file);
  }
  return stated;
}

function notesOf({ others }: XcatManifest, all: ReadonlyMap<string, string>): string[] {
  const provmethod = all.get('provmethod') ?? '';
  return [
    ...(others.length === 0 ? [] : [`${others.join(', ')}: left out, rackboot has no use for it`]),
    ...(provmethod === 'netboot'
      ? []
      : [
          provmethod === 'statelite'
            ? 'statelite: its files are kept, and no node boots it by rackboot'
            : `${provmethod}: it has lists and no boot files; import the media of ${all.get('osvers') ?? ''} for nodes to boot`,
        ]),
  ];
}
