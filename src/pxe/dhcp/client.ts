import {
  OPTION,
  findOption,
  readArchitectures,
  readEncapsulated,
  readText,
  readUserClasses,
} from './options.js';
import type { DhcpPacket } from './packet.js';

/** The features of an iPXE build that steer what it is given, as option 175 numbers them. */
const IPXE_FEATURES: ReadonlyMap<number, IpxeFeature> = new Map([
  [0x13, 'http'],
  [0x14, 'https'],
  [0x15, 'tftp'],
  [0x18, 'bzimage'],
  [0x19, 'multiboot'],
  [0x24, 'efi'],
]);

export type IpxeFeature = 'http' | 'https' | 'tftp' | 'bzimage' | 'multiboot' | 'efi';

/**
 * Who asks. `arch` is an architecture type of RFC 4578 §2.1 as IANA lists them. `features` is undefined when this
 * iPXE does not say what it was built with. Only the first three kinds are ever given a boot file: an operating
 * system's client may take one for something else (the Debian installer takes it for its preseed).
 */
export type Client =
  | { readonly kind: 'ipxe'; readonly arch: number; readonly features: ReadonlySet<IpxeFeature> | undefined }
  | { readonly kind: 'pxe'; readonly arch: number }
  | { readonly kind: 'http-boot'; readonly arch: number }
  | { readonly kind: 'other' };

const classified = new WeakMap<DhcpPacket, Client>();

/** Who sent `packet`, from its vendor class (60), user class (77), architecture (93) and iPXE (175) options. */
export function classifyClient(packet: DhcpPacket): Client {
  const client = classified.get(packet) ?? classify(packet);
  classified.set(packet, client);
  return client;
}

function classify(packet: DhcpPacket): Client {
  const vendorClass = readText(packet, OPTION.vendorClass) ?? '';
  const arch = readArchitectures(packet)[0] ?? archOf(vendorClass);
  const ipxe = findOption(packet, OPTION.ipxe);
  if (ipxe !== undefined || readUserClasses(packet).includes('iPXE')) {
    return { kind: 'ipxe', arch, features: ipxe === undefined ? undefined : readFeatures(ipxe) };
  }
  if (/^PXEClient(?::|$)/.test(vendorClass)) return { kind: 'pxe', arch };
  if (/^HTTPClient(?::|$)/.test(vendorClass)) return { kind: 'http-boot', arch };
  return { kind: 'other' };
}

/** A few words about the client, for logs and events. */
export function describeClient(client: Client): string {
  switch (client.kind) {
    case 'ipxe':
      return `iPXE, ${archName(client.arch)}`;
    case 'pxe':
      return `PXE ROM, ${archName(client.arch)}`;
    case 'http-boot':
      return `UEFI HTTP Boot, ${archName(client.arch)}`;
    case 'other':
      return 'operating system';
  }
}

/** The architecture that a vendor class such as `PXEClient:Arch:00007:UNDI:003016` names; BIOS when it names none. */
function archOf(vendorClass: string): number {
  const match = /:Arch:(\d{1,5})(?::|$)/.exec(vendorClass);
  return match === null ? 0 : Number(match[1]);
}

/** What an architecture type is called. */
export function archName(arch: number): string {
  switch (arch) {
    case 0:
      return 'BIOS';
    case 6:
    case 15:
      return 'UEFI x86';
    case 7:
    case 9:
    case 16:
      return 'UEFI x64';
    case 11:
    case 19:
      return 'UEFI arm64';
    default:
      return `architecture ${arch}`;
  }
}

function readFeatures(data: Buffer): ReadonlySet<IpxeFeature> | undefined {
  const options = readEncapsulated(data);
  const features = new Set<IpxeFeature>();
  for (const { code, data: value } of options ?? []) {
    const feature = IPXE_FEATURES.get(code);
    if (feature !== undefined && value.some((byte) => byte !== 0)) features.add(feature);
  }
  return features.size === 0 ? undefined : features;
}
