import type { Accelerator } from './kvm.js';

/** Where Debian's qemu-system-x86, ovmf and debian-installer packages put what the machines are made of. */
export const paths = {
  qemu: '/usr/bin/qemu-system-x86_64',
  ovmfCode: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  ovmfVariables: '/usr/share/OVMF/OVMF_VARS_4M.fd',
  secureCode: '/usr/share/OVMF/OVMF_CODE_4M.ms.fd',
  secureVariables: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd', // with Microsoft's keys
  probeKernel: '/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux',
} as const;

/** `uefi-secure`: with Secure Boot on. */
export type Firmware = 'bios' | 'uefi' | 'uefi-secure';

/** What a machine starts from. `path` is an ISO or disk image; it is opened read-only. */
export type BootSource =
  | { readonly kind: 'network'; readonly by?: 'pxe' | 'http' } // UEFI: by PXE unless it is said
  | { readonly kind: 'cdrom'; readonly path: string }
  | { readonly kind: 'usb'; readonly path: string };

/** A virtual machine with one virtio network card and a serial port. */
export interface MachineSpec {
  readonly name: string; // [a-z0-9-]+; in file names and messages
  readonly mac: string; // lower case, colon-separated
  readonly firmware: Firmware;
  readonly boot: BootSource;
  readonly accelerator: Accelerator;
  readonly memoryMb?: number; // default 1024: below 780 Debian's installer goes into its low memory mode
  readonly more?: readonly string[]; // further options for QEMU
}

/** Names of host things that one machine uses. */
export interface MachinePlace {
  readonly tap: string; // an existing tap interface
  readonly variables: string; // the machine's own copy of the UEFI variable store
}

/** QEMU's options for choosing the processor. */
export function acceleratorArguments(accelerator: Accelerator): readonly string[] {
  return accelerator === 'kvm'
    ? ['-accel', 'kvm', '-cpu', 'host']
    : ['-accel', 'tcg,thread=multi', '-cpu', 'qemu64'];
}

/** Options of every machine here: no display, the serial port on standard output, a reset ends it. */
export const headlessArguments: readonly string[] = [
  ...['-nodefaults', '-no-user-config', '-no-reboot'],
  ...['-display', 'none', '-monitor', 'none'],
  ...['-chardev', 'stdio,id=serial,signal=off', '-serial', 'chardev:serial'],
];

/**
 * The QEMU 7.2 command line of a machine. BIOS machines boot by the iPXE ROM of their network card; UEFI machines by
 * OVMF's own drivers (`romfile=` takes the ROM away). `graphics=off` makes SeaBIOS and what it loads write to the
 * serial port. `vnet_hdr=off` makes the kernel finish every checksum, which PXE ROMs and DHCP clients insist on.
 */
export function machineArguments(spec: MachineSpec, place: MachinePlace): readonly string[] {
  const uefi = spec.firmware !== 'bios';
  const secure = spec.firmware === 'uefi-secure';
  const network = spec.boot.kind === 'network';
  const card = [
    `virtio-net-pci,netdev=lan,mac=${spec.mac}`,
    ...(network ? ['bootindex=1'] : []),
    ...(uefi || !network ? ['romfile='] : []),
  ];
  return [
    ...['-name', spec.name, '-machine', secure ? 'q35,smm=on' : uefi ? 'q35' : 'pc,graphics=off'],
    ...acceleratorArguments(spec.accelerator),
    ...['-smp', '1', '-m', String(spec.memoryMb ?? 1024)],
    ...headlessArguments,
    ...(uefi ? firmwareArguments(spec, place) : []),
    ...['-boot', 'strict=on'],
    ...['-netdev', `tap,id=lan,ifname=${place.tap},script=no,downscript=no,vnet_hdr=off`],
    ...['-device', card.join(',')],
    ...['-device', 'virtio-rng-pci'],
    ...driveArguments(spec.boot),
    ...(spec.more ?? []),
  ];
}

/** With IPv6 on, OVMF tries it first and waits for it in vain. */
function firmwareArguments({ firmware, boot }: MachineSpec, place: MachinePlace): readonly string[] {
  const secure = firmware === 'uefi-secure';
  const byHttp = boot.kind === 'network' && boot.by === 'http';
  const code = secure ? paths.secureCode : paths.ovmfCode;
  return [
    ...(secure ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${escaped(code)}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${escaped(place.variables)}`],
    ...['-fw_cfg', 'name=opt/org.tianocore/IPv6PXESupport,string=n'],
    ...(byHttp ? ['-fw_cfg', 'name=opt/org.tianocore/IPv4PXESupport,string=n'] : []),
  ];
}

function driveArguments(boot: BootSource): readonly string[] {
  switch (boot.kind) {
    case 'network':
      return [];
    case 'cdrom':
      return [
        ...['-drive', `if=none,id=medium,media=cdrom,format=raw,readonly=on,file=${escaped(boot.path)}`],
        ...['-device', 'ide-cd,drive=medium,bus=ide.0,bootindex=1'],
      ];
    case 'usb':
      return [
        ...['-drive', `if=none,id=medium,format=raw,readonly=on,file=${escaped(boot.path)}`],
        ...['-device', 'qemu-xhci', '-device', 'usb-storage,drive=medium,bootindex=1'],
      ];
  }
}

/** QEMU's option syntax: a comma in a value is doubled. */
function escaped(path: string): string {
  return path.replaceAll(',', ',,');
}
