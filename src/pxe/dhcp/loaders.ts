import {
  isLoaderName,
  LOADER_FILES,
  type Platform,
  PLATFORMS,
  platformsOf,
} from '../../site/loader-names.js';
import { archName, type Client } from './client.js';

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

/** What loaders fetch from where they came from, to go on at all. */
const COMPANIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['pxelinux.0', ['ldlinux.c32', 'libcom32.c32', 'mboot.c32']],
  ['shimx64.efi', ['grubx64.efi']],
]);

/** Every file that a client may be given, or need, by `table`. */
export function filesOf(table: LoaderTable): string[] {
  const first = PLATFORMS.flatMap((platform) => {
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
  if (name === undefined || platformsOf(name)?.includes(platform) === false) {
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

/** Whether a loader is iPXE again, by its name: it would only ask the same once more. */
function isIpxe(loader: string): boolean {
  return /ipxe|undionly|snponly/.test(loader);
}

function describe({ kind, arch }: Client & { readonly arch: number }): string {
  return `${archName(arch)}${kind === 'http-boot' ? ' HTTP Boot' : ''}`;
}
