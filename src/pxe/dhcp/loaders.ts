import type { Client } from './client.js';

/** The kinds of firmware that are given a first loader. */
export type Platform = 'bios' | 'uefi-x64' | 'uefi-arm64';

/** The file name of the first loader for each kind of firmware; a platform without one gets no boot file. */
export type LoaderTable = Readonly<Partial<Record<Platform, string>>>;

/** What is handed out unless the configuration names something else: the files of Debian's `ipxe` package. */
export const DEFAULT_LOADERS: LoaderTable = { bios: 'undionly.kpxe', 'uefi-x64': 'snponly.efi' };

/** The architecture types (IANA, "Processor Architecture Types") of each platform. 9 is what x64 firmware sends too. */
const PLATFORMS: ReadonlyMap<number, Platform> = new Map([
  [0, 'bios'],
  [7, 'uefi-x64'],
  [9, 'uefi-x64'],
  [16, 'uefi-x64'],
  [11, 'uefi-arm64'],
  [19, 'uefi-arm64'],
]);

/** The loader for `client`'s firmware, or undefined when the table has none. */
export function loaderFor(
  client: Exclude<Client, { kind: 'other' }>,
  table: LoaderTable,
): string | undefined {
  const platform = PLATFORMS.get(client.arch);
  return platform === undefined ? undefined : table[platform];
}
