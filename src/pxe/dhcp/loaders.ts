import { archName, type Client } from './client.js';

/** The kinds of firmware that are given a first loader, and how they fetch it. */
export type Platform = 'bios' | 'uefi-x64' | 'uefi-arm64' | 'http-x64' | 'http-arm64';

/** Loaders with a short name, whatever their file is called on a platform. */
export type LoaderName = 'ipxe' | 'pxelinux' | 'grub' | 'shim';

/**
 * Which loader each kind of firmware is given: a LoaderName or the name of a file. HTTP Boot has the one of PXE on its
 * architecture unless it has one of its own. A platform without one gets no boot file. `ipxe` is what clients get that
 * are iPXE already: `script`, or a loader to go on with.
 */
export type LoaderTable = Readonly<Partial<Record<Platform | 'ipxe', string | undefined>>>;

/** What is handed out unless the configuration says something else. */
export const DEFAULT_LOADERS: LoaderTable = { bios: 'ipxe', 'uefi-x64': 'ipxe', ipxe: 'script' };

/** What a client is told to boot: its node's script, a loader, or nothing. */
export type LoaderChoice =
  | { readonly kind: 'script' }
  | { readonly kind: 'file'; readonly name: string }
  | { readonly kind: 'none'; readonly why: string };

type FilesByPlatform = Readonly<Partial<Record<Platform, string>>>;

/** The file of each loader on the platforms it is for. */
export const LOADER_FILES: Readonly<Record<LoaderName, FilesByPlatform>> = {
  ipxe: { bios: 'undionly.kpxe', 'uefi-x64': 'snponly.efi', 'http-x64': 'snponly.efi' },
  pxelinux: { bios: 'pxelinux.0' },
  grub: { 'uefi-x64': 'core-x64.efi', 'http-x64': 'core-x64.efi' },
  // Not by HTTP: the GRUB that Debian signed for shim speaks TFTP only.
  shim: { 'uefi-x64': 'shimx64.efi' },
};

/** What loaders fetch from where they came from, to go on at all. */
const COMPANIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['pxelinux.0', ['ldlinux.c32', 'libcom32.c32', 'mboot.c32']],
  ['shimx64.efi', ['grubx64.efi']],
]);

/** Every file that a client may be given, or need, by `table`. */
export function filesOf(table: LoaderTable): string[] {
  const platforms = ['bios', 'uefi-x64', 'uefi-arm64', 'http-x64', 'http-arm64'] as const;
  const first = platforms.flatMap((platform) => {
    const wanted = [loaderOf(platform, table), ...(platform.startsWith('http') ? [] : [table.ipxe])];
    return wanted.flatMap((loader) => {
      if (loader === undefined || loader === 'script') return [];
      return isLoaderName(loader) ? (LOADER_FILES[loader][platform] ?? []) : loader;
    });
  });
  return [...new Set(first.flatMap((name) => [name, ...(COMPANIONS.get(name) ?? [])]))];
}

/** The architecture types (IANA, "Processor Architecture Types") we have a column for. 9 is what x64 firmware sends too. */
const ARCHITECTURES: ReadonlyMap<number, 'bios' | 'x64' | 'arm64'> = new Map([
  [0, 'bios'],
  [7, 'x64'],
  [9, 'x64'],
  [16, 'x64'],
  [11, 'arm64'],
  [19, 'arm64'],
]);

/**
 * What `client` is told to boot by `table`, or by `own`, the loader its node is set to. iPXE gets the script unless it
 * is to go on with another loader than iPXE; one that cannot fetch it by HTTP is a ROM like others.
 */
export function chooseLoader(
  client: Exclude<Client, { kind: 'other' }>,
  table: LoaderTable,
  own: string | undefined,
): LoaderChoice {
  const platform = platformOf(client);
  const isScripted = client.kind === 'ipxe' && client.features?.has('http') !== false;
  const wanted = isScripted ? (own ?? table.ipxe ?? 'script') : (own ?? loaderOf(platform, table));
  if (isScripted && wanted !== undefined && (wanted === 'script' || isIpxe(wanted)))
    return { kind: 'script' };
  if (platform === undefined || wanted === undefined) {
    return { kind: 'none', why: `no loader is configured for ${describe(client)}` };
  }
  const name = isLoaderName(wanted) ? LOADER_FILES[wanted][platform] : wanted;
  if (name === undefined || isForOthers(name, platform)) {
    return { kind: 'none', why: `its loader ${wanted} is none for ${describe(client)}` };
  }
  return { kind: 'file', name };
}

function platformOf({ kind, arch }: Exclude<Client, { kind: 'other' }>): Platform | undefined {
  const architecture = ARCHITECTURES.get(arch);
  if (architecture === undefined) return undefined;
  if (architecture === 'bios') return kind === 'http-boot' ? undefined : 'bios';
  return `${kind === 'http-boot' ? 'http' : 'uefi'}-${architecture}`;
}

function loaderOf(platform: Platform | undefined, table: LoaderTable): string | undefined {
  switch (platform) {
    case undefined:
      return undefined;
    case 'http-x64':
      return table['http-x64'] ?? table['uefi-x64'];
    case 'http-arm64':
      return table['http-arm64'] ?? table['uefi-arm64'];
    default:
      return table[platform];
  }
}

function isLoaderName(text: string): text is LoaderName {
  return Object.hasOwn(LOADER_FILES, text);
}

/** Whether a loader is iPXE again, by its name: it would only ask the same once more. */
function isIpxe(loader: string): boolean {
  return /ipxe|undionly|snponly/.test(loader);
}

/** Whether the file `name` is one that we know to be for other platforms only. */
function isForOthers(name: string, platform: Platform): boolean {
  const platforms = Object.values(LOADER_FILES).flatMap((files) =>
    Object.entries(files).flatMap(([of, file]) => (file === name ? [of] : [])),
  );
  return platforms.length > 0 && !platforms.includes(platform);
}

function describe({ kind, arch }: Client & { readonly arch: number }): string {
  return `${archName(arch)}${kind === 'http-boot' ? ' HTTP Boot' : ''}`;
}
