import { join } from 'node:path';
import type { SiteConfig } from '../../site/config.js';
import { CORE_FILES, type CoreFormat } from './grub-core.js';

/** Where a loader that is handed out comes from. */
export type LoaderSource =
  | { readonly kind: 'file'; readonly path: string; readonly package: string } // of a Debian package
  /** Made by grub-core.ts of the package's modules, of which `path` is one. */
  | {
      readonly kind: 'core';
      readonly format: CoreFormat;
      readonly path: string;
      readonly package: string;
    };

interface Packaged {
  readonly package: string;
  readonly directory: string;
  /** Names as they are asked for, with the file's own name where it is another. */
  readonly files: readonly (string | readonly [name: string, file: string])[];
}

const IPXE = '/usr/lib/ipxe';

const PACKAGED: readonly Packaged[] = [
  {
    package: 'ipxe',
    directory: IPXE,
    files: ['undionly.kpxe', 'undionly.kkpxe', 'ipxe.pxe', 'ipxe.lkrn', 'snponly.efi', 'ipxe.efi'],
  },
  { package: 'pxelinux', directory: '/usr/lib/PXELINUX', files: ['pxelinux.0', 'lpxelinux.0'] },
  {
    package: 'syslinux-common',
    directory: '/usr/lib/syslinux/modules/bios',
    files: ['ldlinux.c32', 'libcom32.c32', 'mboot.c32'],
  },
  { package: 'shim-signed', directory: '/usr/lib/shim', files: [['shimx64.efi', 'shimx64.efi.signed']] },
  {
    package: 'shim-helpers-amd64-signed',
    directory: '/usr/lib/shim',
    files: [['mmx64.efi', 'mmx64.efi.signed']],
  },
  {
    // The name that shim asks for.
    package: 'grub-efi-amd64-signed',
    directory: '/usr/lib/grub/x86_64-efi-signed',
    files: [['grubx64.efi', 'grubnetx64.efi.signed']],
  },
];

const SOURCES: ReadonlyMap<string, LoaderSource> = new Map([
  ...PACKAGED.flatMap(({ package: name, directory, files }) =>
    files.map((file): [string, LoaderSource] => {
      const [as, stored] = typeof file === 'string' ? [file, file] : file;
      return [as, { kind: 'file', path: join(directory, stored), package: name }];
    }),
  ),
  [
    CORE_FILES['x86_64-efi'],
    {
      kind: 'core',
      format: 'x86_64-efi',
      path: '/usr/lib/grub/x86_64-efi/normal.mod',
      package: 'grub-efi-amd64-bin',
    },
  ],
]);

/** Where the loader `name` comes from, or undefined when it is not published: the usual ones and those rackboot.yaml names. */
export function loaderSource(name: string, config: SiteConfig): LoaderSource | undefined {
  const known = SOURCES.get(name);
  if (known !== undefined) return known;
  const configured = Object.values(config.dhcp.loaders ?? {}).includes(name);
  return configured ? { kind: 'file', path: join(IPXE, name), package: 'ipxe' } : undefined;
}
