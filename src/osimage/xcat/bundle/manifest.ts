import { isProblem, readXml, type AnswerElement } from '../../../answer/xml.js';
import { encodeXml } from '../../../repo/xml-text.js';
import { OsimageError } from '../../errors.js';

/** What imgexport writes of an osimage (xCAT's imgport.pm): the rows of its tables, and where its files were. */
export interface XcatManifest {
  readonly osimage: ReadonlyMap<string, string>; // columns of the table osimage
  readonly linuximage: ReadonlyMap<string, string>;
  /** `kernel`, `ramdisk`, `rootimg`, `rootimgtree`, `litefile`, `media`, `postscripts`, `postbootscripts`. */
  readonly plain: ReadonlyMap<string, string>;
  readonly extras: readonly { readonly src: string; readonly dest: string }[];
  readonly others: readonly string[]; // elements that rackboot has no use for: kits, raw images
}

const PLAIN = [
  ...['kernel', 'ramdisk', 'rootimg', 'rootimgtree', 'litefile', 'media'],
  ...['postscripts', 'postbootscripts'],
];
const TABLES = ['osimage', 'linuximage'] as const;

/** Columns of the table osimage; those of linuximage are the others. */
const OSIMAGE_COLUMNS = new Set([
  ...['imagename', 'groups', 'profile', 'imagetype', 'description', 'provmethod', 'rootfstype'],
  ...['osdistroname', 'osupdatename', 'cfmdir', 'osname', 'osvers', 'osarch', 'synclists', 'postscripts'],
  ...['postbootscripts', 'serverrole', 'isdeletable', 'kitcomponents', 'environvar', 'nfsrootopts'],
]);

/** Whether xCAT keeps a column of osimage objects in the table osimage; else it is linuximage. */
export const isOsimageColumn = (name: string): boolean => OSIMAGE_COLUMNS.has(name);

/**
 * The manifest in `text`, which `where` names: as imgexport writes it, with attributes in place of elements, or with the
 * columns right below the root, as before xCAT 2.8. Throws OsimageError BAD_BUNDLE.
 */
export function parseXcatManifest(text: string, where: string): XcatManifest {
  const root = readXml(text);
  if (isProblem(root)) {
    const { line, column } = root.place;
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}:${line}:${column}: ${root.message}; export the osimage again`,
    );
  }
  const extras: { src: string; dest: string }[] = [];
  const others = new Set<string>();
  const tables = { osimage: new Map<string, string>(), linuximage: new Map<string, string>() };
  const plain = new Map<string, string>();
  const set = (values: Map<string, string>, name: string, value: string, { line, column }: Place): void => {
    if (value === '') return;
    const at = `${where}:${line}:${column}: ${name}`;
    if (/[\x00-\x1f\x7f]/.test(value))
      throw new OsimageError('BAD_BUNDLE', `${at} holds control characters; write it on one line`);
    if (values.has(name))
      throw new OsimageError('BAD_BUNDLE', `${at} stands there twice; take one of them out`);
    values.set(name, value);
  };
  for (const { name, value, place } of fieldsOf(root)) {
    if (PLAIN.includes(name)) set(plain, name, value, place);
    else set(isOsimageColumn(name) ? tables.osimage : tables.linuximage, name, value, place);
  }
  for (const child of root.children.filter(isRow)) {
    const fields = fieldsOf(child);
    const table = TABLES.find((known) => known === child.name);
    if (table !== undefined) {
      for (const { name, value, place } of fields) set(tables[table], name, value, place);
    } else if (child.name === 'extra') {
      const value = (wanted: string): string => fields.find(({ name }) => name === wanted)?.value ?? '';
      extras.push({ src: value('src'), dest: value('dest') });
    } else others.add(child.name);
  }
  return { ...tables, plain, extras, others: [...others] };
}

type Place = AnswerElement['place'];

const isRow = (element: AnswerElement): boolean =>
  element.children.length > 0 || element.attributes.length > 0 || element.name === 'extra';

/** What XML::Simple reads as an element's values: its attributes and the children that hold only text. */
function fieldsOf(
  element: AnswerElement,
): { readonly name: string; readonly value: string; readonly place: Place }[] {
  return [
    ...element.attributes.map(({ name, value, place }) => ({ name, value: value.trim(), place })),
    ...element.children
      .filter((child) => !isRow(child))
      .map(({ name, text, place }) => ({ name, value: text, place })),
  ];
}

/** A manifest as imgexport writes it: two blanks of indent, elements in order of their names, no empty ones. */
export function writeXcatManifest({
  osimage,
  linuximage,
  plain,
  extras,
}: Omit<XcatManifest, 'others'>): string {
  type Node = readonly [name: string, value: string | ReadonlyMap<string, string>];
  const nodes: Node[] = [
    ...[...plain].map(([name, value]): Node => [name, value]),
    ...extras.map(({ src, dest }): Node => [
      'extra',
      new Map([
        ['dest', dest],
        ['src', src],
      ]),
    ]),
    ['linuximage', linuximage],
    ['osimage', osimage],
  ];
  const line = (indent: string, name: string, value: string): string =>
    value === '' ? '' : `${indent}<${name}>${encodeXml(value)}</${name}>\n`;
  const body = nodes
    .map((node, at) => ({ node, at }))
    .sort((a, b) => (a.node[0] === b.node[0] ? a.at - b.at : a.node[0] < b.node[0] ? -1 : 1))
    .map(({ node: [name, value] }) => {
      if (typeof value === 'string') return line('  ', name, value);
      const fields = [...value].sort(([a], [b]) => (a < b ? -1 : 1));
      return `  <${name}>\n${fields.map(([field, text]) => line('    ', field, text)).join('')}  </${name}>\n`;
    });
  return `<?xml version="1.0"?>\n<xcatimage>\n${body.join('')}</xcatimage>\n`;
}
