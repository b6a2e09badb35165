import path from 'node:path';
import { OsimageError } from '../../errors.js';
import type { Attached } from '../../types.js';
import type { SourceFile } from '../../source/source.js';
import { fileOfItem, itemsOf, LISTS } from './lists.js';

/** What of an osimage a profile's name is part of. */
interface Named {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly attached: readonly SourceFile[];
  readonly extras: Attached['extras'];
}

const SHARE = '/opt/xcat/share/xcat/';

/**
 * The osimage with the profile `profile`, as imgimport -f makes it: the name, rootimgdir, and the names of its lists,
 * in which the old profile is replaced or the new one put in front. What xCAT itself shipped becomes the site's own.
 */
export function renameProfile(named: Named, profile: string | undefined): Named {
  if (profile === undefined) return named;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(profile)) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `--profile ${JSON.stringify(profile)}: a profile has letters, digits, dots, dashes and underscores`,
    );
  }
  const { settings } = named;
  const [old = '', osvers = '', osarch = '', provmethod = ''] = [
    ...[settings['profile'], settings['osvers'], settings['osarch'], settings['provmethod']],
  ];
  const installdir = installdirOf(settings['rootimgdir']);
  const kind = provmethod === 'install' ? 'install' : 'netboot';
  const newBase = (base: string): string =>
    old !== '' && base.includes(old) ? base.replace(old, profile) : `${profile}.${base}`;
  const moved = (file: string): string => {
    const directory = path.posix.dirname(file);
    const base = newBase(path.posix.basename(file));
    if (!`${directory}/`.startsWith(SHARE)) return path.posix.join(directory, base);
    const platform = directory.slice(SHARE.length).split('/')[1] ?? osvers.replace(/[\d.].*$/, '');
    return path.posix.join(installdir, 'custom', kind, platform, base);
  };
  const movedItem = (item: string): string => {
    const file = fileOfItem(item);
    return `${moved(file)}${item.slice(file.length)}`;
  };
  const changed = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      LISTS.includes(name) ? itemsOf(value).map(movedItem).join(',') : value,
    ]),
  );
  const listed = new Set(
    LISTS.flatMap((name) => itemsOf(settings[name] ?? '')).map((item) =>
      path.posix.basename(fileOfItem(item)),
    ),
  );
  return {
    name: `${osvers}-${osarch}-${provmethod}-${profile}`,
    settings: {
      ...changed,
      profile,
      rootimgdir: path.posix.join(installdir, kind, osvers, osarch, profile),
    },
    attached: named.attached.map((file) =>
      listed.has(file.path) ? { ...file, path: newBase(file.path) } : file,
    ),
    extras: named.extras,
  };
}

/** The directory that a rootimgdir at its customary place is below of. */
export function installdirOf(rootimgdir: string | undefined): string {
  const [, before] = /^(\/.*?)\/(?:netboot|install)\/[^/]+\/[^/]+\/[^/]+\/?$/.exec(rootimgdir ?? '') ?? [];
  return before ?? '/install';
}
