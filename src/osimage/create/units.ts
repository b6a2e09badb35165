import { collect } from '../../image/chunks.js';
import { isRegular, isSymlink, S_IFLNK } from '../../image/cpio/header.js';
import { joinPath, pathFromText, type ArchivePath } from '../../image/cpio/path.js';
import { contentOf, type Edit } from '../../image/edit.js';
import type { ArchivePreview } from '../../image/preview.js';
import { OsimageError } from '../errors.js';

/** Where the units of a system lie that an operator links, and where packages bring theirs (systemd.unit(5)). */
const LINKS = pathFromText('/etc/systemd/system');
const UNITS = ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system'];

/** What [Install] of a unit says. */
interface Install {
  readonly wantedBy: readonly string[];
  readonly requiredBy: readonly string[];
  readonly aliases: readonly string[];
  readonly also: readonly string[];
  readonly defaultInstance: string | undefined;
}

/** Whether systemd starts the image. */
export function hasSystemd({ tree }: ArchivePreview): boolean {
  return ['/usr/lib/systemd/systemd', '/lib/systemd/systemd'].some(
    (file) => tree.seek(pathFromText(file)) !== undefined,
  );
}

/** Whether a unit file of that name, or of its template, is in the image. */
export function hasUnit({ tree }: ArchivePreview, unit: string): boolean {
  return fileOf(tree, unit) !== undefined;
}

/**
 * The links that `systemctl enable` makes for a unit, and for those that its Also= names. Throws OsimageError BAD_SOURCE for a
 * unit that is not in the image, or that nothing could start.
 */
export async function enableUnit(image: ArchivePreview, unit: string): Promise<Edit[]> {
  return enableAll(image, unit, new Set());
}

async function enableAll(image: ArchivePreview, unit: string, done: Set<string>): Promise<Edit[]> {
  if (done.has(unit)) return [];
  done.add(unit);
  const file = fileOf(image.tree, unit);
  if (file === undefined)
    throw new OsimageError(
      'BAD_SOURCE',
      `${unit} is to be enabled and is not in the image; a package of packages.lst or templates/installimg has to bring it`,
    );
  const install = parseInstall((await collect(image.read(image.tree.find(file)))).toString('utf8'));
  const [, stem = '', suffix = ''] = /^(.*@)\.(\w+)$/.exec(unit) ?? [];
  const name =
    stem === '' || install.defaultInstance === undefined
      ? unit
      : `${stem}${install.defaultInstance}.${suffix}`;
  const target = `/${file.replace(/^lib\//, 'usr/lib/')}`;
  const links = [
    ...install.wantedBy.map((by) => `${by}.wants/${name}`),
    ...install.requiredBy.map((by) => `${by}.requires/${name}`),
    ...install.aliases.filter((alias) => alias !== unit),
  ];
  if (links.length === 0 && install.also.length === 0)
    throw new OsimageError(
      'BAD_SOURCE',
      `${unit} is to be enabled, and its [Install] names nothing that would start it; add WantedBy= to it`,
    );
  const edits = links.map((link) => symlink(joinPath(LINKS, link), target, `enable ${unit}`));
  for (const other of install.also) edits.push(...(await enableAll(image, other, done)));
  return edits;
}

/** What `systemctl disable` removes: every link that would start the unit. A unit that is masked stays so. */
export function disableUnit({ tree }: ArchivePreview, unit: string): Edit[] {
  return tree.below(LINKS).flatMap((entry): Edit[] => {
    if (!isSymlink(entry.header.mode)) return [];
    const [name = '', directory = ''] = entry.path
      .slice(LINKS.length + 1)
      .split('/')
      .reverse();
    const target = (entry.target ?? '').split('/').at(-1);
    const starts = /\.(?:wants|requires)$/.test(directory) && (name === unit || target === unit);
    const isAlias = directory === '' && name !== unit && target === unit;
    if (!starts && !isAlias) return [];
    return [{ op: 'delete', path: entry.path, required: false, from: `disable ${unit}` }];
  });
}

/** The unit's file, or that of its template: a link to /dev/null masks it. */
function fileOf(tree: ArchivePreview['tree'], unit: string): ArchivePath | undefined {
  const template = unit.replace(/@[^@.]*\./, '@.');
  for (const name of new Set([unit, template])) {
    for (const directory of UNITS) {
      const path = pathFromText(`${directory}/${name}`);
      const found = tree.seek(path);
      if (found !== undefined && isRegular(found.header.mode)) return path;
    }
  }
  return undefined;
}

/** [Install] of a unit file (systemd.syntax(7): an empty value takes back those before it, a backslash continues a line). */
export function parseInstall(text: string): Install {
  const values = new Map<string, string[]>();
  let section = '';
  for (const line of text.replace(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const header = /^\[(.*)\]\s*$/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, name, value = ''] = (section === 'Install' && /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line)) || [];
    if (name === undefined) continue;
    const words = value.split(/\s+/).filter((word) => word !== '');
    values.set(name, words.length === 0 ? [] : [...(values.get(name) ?? []), ...words]);
  }
  const of = (name: string): readonly string[] => values.get(name) ?? [];
  return {
    wantedBy: of('WantedBy'),
    requiredBy: of('RequiredBy'),
    aliases: of('Alias'),
    also: of('Also'),
    defaultInstance: of('DefaultInstance')[0],
  };
}

/** A symbolic link, root's. */
export function symlink(path: ArchivePath, target: string, from: string): Edit {
  const bytes = Buffer.from(target);
  return {
    ...{ op: 'put', path, mode: S_IFLNK | 0o777, uid: 0, gid: 0, from },
    content: contentOf(bytes),
    target: bytes.toString('latin1'),
  };
}
