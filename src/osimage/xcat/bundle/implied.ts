import path from 'node:path';

/** Attributes that a bundle must say and a stateless osimage need not: what they are then. */
export function impliedAttributes(
  settings: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const { osvers = '', osarch = '', profile = '', provmethod = 'netboot' } = settings;
  const kind = provmethod === 'install' ? 'install' : 'netboot';
  const implied = new Map([
    ['imagetype', 'linux'],
    ['osname', 'Linux'],
    ['provmethod', provmethod],
    ['rootimgdir', path.posix.join('/install', kind, osvers, osarch, profile)],
  ]);
  for (const name of [...implied.keys()]) if (settings[name] !== undefined) implied.delete(name);
  return implied;
}
