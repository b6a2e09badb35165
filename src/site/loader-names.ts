import { nearest } from './nearest.js';

/** The kinds of firmware that are given a first loader, and how they fetch it. */
export const PLATFORMS = ['bios', 'uefi-x64', 'uefi-arm64', 'http-x64', 'http-arm64'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Loaders with a short name, whatever their file is called on a platform. */
export type LoaderName = 'ipxe' | 'pxelinux' | 'grub' | 'shim';

/** The file of each loader on the platforms it is for. */
export const LOADER_FILES: Readonly<Record<LoaderName, Readonly<Partial<Record<Platform, string>>>>> = {
  ipxe: { bios: 'undionly.kpxe', 'uefi-x64': 'snponly.efi', 'http-x64': 'snponly.efi' },
  pxelinux: { bios: 'pxelinux.0' },
  grub: { 'uefi-x64': 'core-x64.efi', 'http-x64': 'core-x64.efi' },
  // Not by HTTP: the GRUB that Debian signed for shim speaks TFTP only.
  shim: { 'uefi-x64': 'shimx64.efi' },
};

const X64 = ['uefi-x64', 'http-x64'] as const;

/** Files that are handed out without being named in rackboot.yaml, with what they are for. */
const KNOWN_FILES: ReadonlyMap<string, readonly Platform[]> = new Map<string, readonly Platform[]>([
  ...['undionly.kpxe', 'undionly.kkpxe', 'ipxe.pxe', 'ipxe.lkrn', 'pxelinux.0', 'lpxelinux.0'].map(
    (file) => [file, ['bios']] as const,
  ),
  ...['snponly.efi', 'ipxe.efi', 'core-x64.efi'].map((file) => [file, X64] as const),
  ...['shimx64.efi', 'grubx64.efi'].map((file) => [file, ['uefi-x64']] as const),
]);

/** Whether `text` is the short name of a loader. */
export function isLoaderName(text: string): text is LoaderName {
  return Object.hasOwn(LOADER_FILES, text);
}

/** What the loader or file `name` is for; undefined for a file that we do not know. */
export function platformsOf(name: string): readonly Platform[] | undefined {
  return isLoaderName(name)
    ? PLATFORMS.filter((platform) => LOADER_FILES[name][platform] !== undefined)
    : KNOWN_FILES.get(name);
}

/**
 * Why `dhcp.loaders` cannot have `loader` for `key`, as words behind the key's name; undefined when it can. A file that
 * we do not know may be the operator's own, in /usr/lib/ipxe.
 */
export function tableFault(key: Platform | 'ipxe', loader: string): string | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(loader)) return `must be ${WHAT_THERE_IS}`;
  if (loader === 'script')
    return key === 'ipxe' ? undefined : 'must be a loader: only clients that are iPXE take a script';
  const platforms = platformsOf(loader);
  if (platforms === undefined)
    return loader.includes('.') ? undefined : `must be ${WHAT_THERE_IS}, not '${loader}'; ${meant(loader)}`;
  if (key === 'ipxe' || platforms.includes(key)) return undefined;
  const fitting = loadersFor(key);
  return `cannot be '${loader}', which is for ${platforms.join(' and ')}; ${
    fitting.length === 0 ? 'name a file of your own in /usr/lib/ipxe' : `take ${fitting.join(' or ')}`
  }`;
}

/**
 * Why no node can have `loader`, as words behind the node's name; undefined when one can. `table` is the `dhcp.loaders`
 * of the site: what is named there is handed out too.
 */
export function nodeLoaderFault(
  loader: string,
  table: Readonly<Partial<Record<string, string | undefined>>>,
): string | undefined {
  const own = Object.values(table).filter((name) => name !== undefined && name !== 'script');
  if (platformsOf(loader) !== undefined || own.includes(loader)) return undefined;
  if (loader === 'script')
    return `its loader cannot be 'script', which is for clients that are iPXE already; set dhcp.loaders.ipxe, or loader=ipxe`;
  return loader.includes('.') && nearest(loader, allNames()) === undefined
    ? `its loader '${loader}' is not handed out; name the file in dhcp.loaders of rackboot.yaml first`
    : `its loader '${loader}' is none; ${meant(loader)}`;
}

const WHAT_THERE_IS = 'ipxe, pxelinux, grub, shim or a plain file name, such as undionly.kpxe';

/** The files that are handed out without being named in rackboot.yaml. */
export function loaderFileNames(): readonly string[] {
  return [...KNOWN_FILES.keys()];
}

function allNames(): readonly string[] {
  return [...Object.keys(LOADER_FILES), ...KNOWN_FILES.keys()];
}

function meant(loader: string): string {
  const near = nearest(loader, allNames());
  return near === undefined ? `known ones: ${allNames().join(', ')}` : `did you mean '${near}'?`;
}

function loadersFor(platform: Platform): readonly string[] {
  return Object.keys(LOADER_FILES).filter(
    (name) => isLoaderName(name) && LOADER_FILES[name][platform] !== undefined,
  );
}
