import type { GenerationManifest } from '../types.js';
import { OsimageError } from '../errors.js';

/**
 * The attributes of xCAT's osimage objects on Linux (its man page osimage(7)). They are settings of a generation, under
 * the same names.
 */
export const OSIMAGE_ATTRIBUTES: readonly string[] = [
  'addkcmdline',
  'boottarget',
  'cfmdir',
  'crashkernelsize',
  'description',
  'driverupdatesrc',
  'dump',
  'environvar',
  'exlist',
  'groups',
  'imagetype',
  'isdeletable',
  'kerneldir',
  'kernelver',
  'kitcomponents',
  'krpmver',
  'netdrivers',
  'nodebootif',
  'osarch',
  'osdistroname',
  'osname',
  'osupdatename',
  'osvers',
  'otherifce',
  'otherpkgdir',
  'otherpkglist',
  'partitionfile',
  'permission',
  'pkgdir',
  'pkglist',
  'postbootscripts',
  'postinstall',
  'postscripts',
  'profile',
  'provmethod',
  'rootfstype',
  'rootimgdir',
  'serverrole',
  'synclists',
  'template',
  'usercomment',
];

/** Throws OsimageError BAD_SETTING unless xCAT's osimage objects have the attribute `name`. */
export function requireOsimageAttribute(name: string): void {
  if (OSIMAGE_ATTRIBUTES.includes(name)) return;
  throw new OsimageError(
    'BAD_SETTING',
    `'${name.slice(0, 60)}' is not a valid attribute name for an object type of 'osimage'; a setting of your own is made with: rackboot image build --set`,
  );
}

/** The attributes of an osimage as lsdef shows them: what was set, and what its family says. */
export function osimageObject({ family, inputs }: GenerationManifest): Map<string, string> {
  const provmethod = { xcat: 'netboot', el: 'install', 'debian-installer': 'install' }[family as string];
  const implied: Readonly<Record<string, string | undefined>> = {
    imagetype: 'linux',
    osname: 'Linux',
    provmethod,
  };
  const all = { ...implied, ...inputs.settings };
  return new Map(
    OSIMAGE_ATTRIBUTES.flatMap((name): [string, string][] => {
      const value = all[name];
      return value === undefined || value === '' ? [] : [[name, value]];
    }),
  );
}

/** A change of one attribute: set to a value ('' takes it away), or items added to or taken from its comma list. */
export interface AttributeEdit {
  readonly op: 'set' | 'add' | 'remove';
  readonly name: string;
  readonly value: string;
}

/** `settings` with `edits` made to them, in their order. Throws OsimageError BAD_SETTING for an unknown attribute. */
export function editAttributes(
  settings: Readonly<Record<string, string>>,
  edits: readonly AttributeEdit[],
): Record<string, string> {
  const after = new Map(Object.entries(settings));
  for (const { op, name, value } of edits) {
    requireOsimageAttribute(name);
    if (/[\x00-\x1f\x7f]/.test(value)) {
      throw new OsimageError('BAD_SETTING', `${name}: control characters; write the value on one line`);
    }
    const items = (after.get(name) ?? '').split(',').filter((item) => item !== '');
    const given = value.split(',').filter((item) => item !== '');
    const list =
      op === 'add'
        ? [...items, ...given.filter((item) => !items.includes(item))]
        : items.filter((item) => !given.includes(item));
    const next = op === 'set' ? value : list.join(',');
    if (next === '') after.delete(name);
    else after.set(name, next);
  }
  return Object.fromEntries(after);
}
