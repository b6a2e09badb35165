import type { Firmware } from '../../src/demo/qemu.js';
import type { LabNode } from '../e2e/lab-site.js';

/** A way from power-on to the kernel. */
export interface BootPath {
  readonly firmware: string; // as the table calls it
  readonly loader: string;
  readonly machine: Firmware;
  readonly by?: 'http';
  readonly rom?: 'plain'; // a ROM that is not iPXE
  readonly attribute?: string; // the node's loader
  readonly fetches: readonly RegExp[]; // loaders that the servers saw fetched
}

export const paths: readonly BootPath[] = [
  { firmware: 'BIOS', loader: 'iPXE ROM', machine: 'bios', fetches: [] },
  {
    firmware: 'BIOS',
    loader: 'PXELINUX',
    machine: 'bios',
    attribute: 'pxelinux',
    fetches: [/^pxelinux\.0 by TFTP/, /^ldlinux\.c32 by TFTP/],
  },
  {
    firmware: 'BIOS',
    loader: 'undionly.kpxe',
    machine: 'bios',
    rom: 'plain',
    fetches: [/^undionly\.kpxe by TFTP/],
  },
  { firmware: 'UEFI', loader: 'snponly.efi', machine: 'uefi', fetches: [/^snponly\.efi by TFTP/] },
  {
    firmware: 'UEFI',
    loader: 'GRUB',
    machine: 'uefi',
    attribute: 'grub',
    fetches: [/^core-x64\.efi by TFTP/],
  },
  {
    firmware: 'UEFI HTTP',
    loader: 'snponly.efi',
    machine: 'uefi',
    by: 'http',
    fetches: [/^snponly\.efi$/],
  },
  {
    firmware: 'UEFI HTTP',
    loader: 'GRUB',
    machine: 'uefi',
    by: 'http',
    attribute: 'grub',
    fetches: [/^core-x64\.efi$/],
  },
  {
    firmware: 'UEFI secure',
    loader: 'shim, GRUB',
    machine: 'uefi-secure',
    attribute: 'shim',
    fetches: [/^shimx64\.efi by TFTP/, /^grubx64\.efi by TFTP/],
  },
];

/** The node that boots by `paths[at]`. */
export function nodeOf(path: BootPath): LabNode {
  const at = paths.indexOf(path) + 1;
  return {
    name: `n${at}`,
    mac: `52:54:00:77:02:0${at}`,
    ip: `10.77.0.${30 + at}`,
    firmware: path.machine,
  };
}
