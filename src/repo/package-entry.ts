import { RepoError } from './errors.js';
import { isInside, type Checksum } from './repomd.js';
import { attributeOf, attributesOf, decodeXml } from './xml-text.js';

/** A package as primary metadata lists it. */
export interface PackageEntry {
  readonly name: string;
  readonly arch: string;
  readonly epoch: string;
  readonly version: string;
  readonly release: string;
  readonly checksum: Checksum; // of the file; what filelists and other call pkgid
  readonly href: string; // relative to the repository, not percent-encoded
  readonly size: number; // bytes of the file
  readonly fileTime: number; // seconds; st_mtime of the file when it was read
  readonly buildTime: number; // seconds
}

/** The order that createrepo_c lists locations in: by the name of the file, and by the whole where names are the same. */
export function inListingOrder(a: string, b: string): number {
  const [nameOfA, nameOfB] = [nameIn(a), nameIn(b)];
  if (nameOfA !== nameOfB) return nameOfA < nameOfB ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}

const nameIn = (href: string): string => href.slice(href.lastIndexOf('/') + 1);

/** A package as people write it: name-version-release.arch. */
export function nevra(entry: Pick<PackageEntry, 'name' | 'epoch' | 'version' | 'release' | 'arch'>): string {
  const epoch = entry.epoch === '0' || entry.epoch === '' ? '' : `${entry.epoch}:`;
  return `${entry.name}-${epoch}${entry.version}-${entry.release}.${entry.arch}`;
}

/** Reads a `<package>` of primary metadata; `where` names the file. Throws RepoError BAD_METADATA. */
export function parseEntry(fragment: Buffer, where: string): PackageEntry {
  const xml = fragment.toString('utf8');
  const name = textOf(xml, 'name');
  const version = tagOf(xml, 'version');
  const time = tagOf(xml, 'time');
  const type = attributeOf(tagOf(xml, 'checksum'), 'type');
  const value = textOf(xml, 'checksum');
  const href = attributeOf(tagOf(xml, 'location'), 'href');
  const size = Number(attributeOf(tagOf(xml, 'size'), 'package'));
  if (
    name === undefined ||
    type === undefined ||
    value === undefined ||
    href === undefined ||
    !Number.isSafeInteger(size)
  ) {
    throw new RepoError('BAD_METADATA', `${where}: a package without name, checksum, size or location`);
  }
  if (!isInside(href)) {
    throw new RepoError('BAD_METADATA', `${where}: ${name} lies at ${href}, which is outside the repository`);
  }
  return {
    name,
    arch: textOf(xml, 'arch') ?? 'noarch',
    epoch: attributeOf(version, 'epoch') ?? '0',
    version: attributeOf(version, 'ver') ?? '',
    release: attributeOf(version, 'rel') ?? '',
    checksum: { type, value: value.toLowerCase() },
    href,
    size,
    fileTime: Number(attributeOf(time, 'file') ?? 0),
    buildTime: Number(attributeOf(time, 'build') ?? 0),
  };
}

/** The tag of the first element `name`, without its name. Thousands of packages are read: a search is what costs least. */
function tagOf(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name} `);
  const end = start < 0 ? -1 : xml.indexOf('>', start);
  return end < 0 ? undefined : xml.slice(start + name.length + 1, end);
}

/** The text of the first element `name`. */
function textOf(xml: string, name: string): string | undefined {
  const end = xml.indexOf(`</${name}>`);
  const start = end < 0 ? -1 : xml.lastIndexOf('>', end);
  return start < 0 ? undefined : decodeXml(xml.slice(start + 1, end).trim());
}

/** What a package gives and needs, by name alone: versions are the solver's business. */
export interface Relations {
  readonly provides: readonly string[]; // its own name and the files that primary lists among them
  readonly requires: readonly string[]; // without rpmlib(…)
}

/** Reads the relations of a `<package>` of primary metadata. */
export function parseRelations(fragment: Buffer): Relations {
  const xml = fragment.toString('utf8');
  const files = [...xml.matchAll(/<file(?:\s[^>]*)?>([^<]*)<\/file>/g)].map(([, path = '']) =>
    decodeXml(path),
  );
  const wanted = [...namesIn(xml, 'requires'), ...namesIn(xml, 'recommends')];
  return {
    provides: [textOf(xml, 'name') ?? '', ...namesIn(xml, 'provides'), ...files],
    requires: wanted.flatMap(operandsOf).filter((name) => !name.startsWith('rpmlib(')),
  };
}

function namesIn(xml: string, list: string): string[] {
  const body = new RegExp(`<rpm:${list}>(.*?)</rpm:${list}>`, 's').exec(xml)?.[1] ?? '';
  return [...body.matchAll(/<rpm:entry\s([^>]*)>/g)].map(
    ([, tag = '']) => attributesOf(tag).get('name') ?? '',
  );
}

/** The names in a rich dependency such as `(foo >= 1 if (bar or baz))`; a plain one is itself. */
function operandsOf(dependency: string): string[] {
  if (!dependency.startsWith('(')) return [dependency];
  return dependency
    .replaceAll(/(^|\s)\(+/g, ' ')
    .split(/\s+(?:and|or|if|unless|else|with|without)\s+/)
    .map((operand) => operand.trim().split(/\s/)[0] ?? '')
    .map((operand) => unclosed(operand))
    .filter((operand) => operand !== '');
}

/** `name` without closing parentheses that it does not open itself: `libc.so.6(X))` ends a group. */
function unclosed(name: string): string {
  let end = name.length;
  const count = (character: string): number => name.slice(0, end).split(character).length - 1;
  while (name[end - 1] === ')' && count(')') > count('(')) end--;
  return name.slice(0, end);
}
