import { join } from 'node:path';
import type { SiteConfig } from '../../site/config.js';

/** Where Debian's `ipxe` package puts its binaries. */
const DIRECTORY = '/usr/lib/ipxe';

const SHIPPED = ['undionly.kpxe', 'undionly.kkpxe', 'ipxe.pxe', 'ipxe.lkrn', 'snponly.efi', 'ipxe.efi'];

/** The names of the loaders that are published: the usual ones and those rackboot.yaml names. */
function loaderNames(config: SiteConfig): string[] {
  const configured = Object.values(config.dhcp.loaders ?? {}).filter((name) => name !== undefined);
  return [...new Set([...SHIPPED, ...configured])];
}

/** The file on disk of the loader `name`, or undefined when it is not published. */
export function loaderFile(name: string, config: SiteConfig): string | undefined {
  return loaderNames(config).includes(name) ? join(DIRECTORY, name) : undefined;
}
