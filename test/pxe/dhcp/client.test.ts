import test from 'ava';
import { type Client, classifyClient, describeClient } from '../../../src/pxe/dhcp/client.js';
import { chooseLoader, DEFAULT_LOADERS } from '../../../src/pxe/dhcp/loaders.js';
import { type DhcpPacket, decodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { capture } from './captures.js';
import { arch, clientMessage, hex, vendor } from './messages.js';

const clients: readonly [name: string, packet: DhcpPacket, summary: string, loader: string | undefined][] = [
  ['iPXE ROM', decodeDhcp(capture('ipxeBiosDiscover')), 'ipxe 0 bzimage,http,multiboot,tftp', 'script'],
  ['iPXE on UEFI', decodeDhcp(capture('ipxeUefiRequest')), 'ipxe 7 efi,http,tftp', 'script'],
  ['OVMF by PXE', decodeDhcp(capture('ovmfPxeDiscover')), 'pxe 7', 'snponly.efi'],
  ['OVMF by HTTP', decodeDhcp(capture('ovmfHttpDiscover')), 'http-boot 16', 'snponly.efi'],
  ['udhcpc', decodeDhcp(capture('udhcpcDiscover')), 'other', undefined],
  ['dhclient', decodeDhcp(capture('dhclientDiscover')), 'other', undefined],
  ['the Debian installer', clientMessage([vendor('d-i')]), 'other', undefined],
  [
    'a BIOS ROM',
    clientMessage([vendor('PXEClient:Arch:00000:UNDI:002001'), arch(0)]),
    'pxe 0',
    'undionly.kpxe',
  ],
  [
    'x64 UEFI that says 9',
    clientMessage([vendor('PXEClient:Arch:00009:UNDI:003016'), arch(9)]),
    'pxe 9',
    'snponly.efi',
  ],
  ['arm64 UEFI', clientMessage([vendor('PXEClient:Arch:00011:UNDI:003000'), arch(11)]), 'pxe 11', undefined],
  ['x86 UEFI', clientMessage([vendor('PXEClient:Arch:00006:UNDI:003016'), arch(6)]), 'pxe 6', undefined],
  [
    'a ROM without option 93',
    clientMessage([vendor('PXEClient:Arch:00007:UNDI:003016')]),
    'pxe 7',
    'snponly.efi',
  ],
  ['a bare PXEClient', clientMessage([vendor('PXEClient')]), 'pxe 0', 'undionly.kpxe'],
  ['a name that only begins so', clientMessage([vendor('PXEClientX')]), 'other', undefined],
  ['a user class of RFC 3004', clientMessage([hex(77, '0469505845'), arch(7)]), 'ipxe 7 ?', 'script'],
  ['gPXE', clientMessage([hex(77, '67505845'), vendor('PXEClient'), arch(0)]), 'pxe 0', 'undionly.kpxe'],
  ['iPXE without HTTP', clientMessage([hex(175, '150101')]), 'ipxe 0 tftp', 'undionly.kpxe'],
  ['iPXE of unreadable features', clientMessage([hex(175, '15ff01')]), 'ipxe 0 ?', 'script'],
];

function summaryOf(client: Client): string {
  if (client.kind === 'other') return 'other';
  if (client.kind !== 'ipxe') return `${client.kind} ${client.arch}`;
  return `ipxe ${client.arch} ${client.features === undefined ? '?' : [...client.features].sort().join(',')}`;
}

for (const [name, packet, summary, loader] of clients) {
  test(`${name} is ${summary}`, (t) => {
    const client = classifyClient(packet);
    t.is(summaryOf(client), summary);
    if (client.kind === 'other') return t.is(loader, undefined);
    const choice = chooseLoader(client, DEFAULT_LOADERS, undefined);
    t.is(choice.kind === 'file' ? choice.name : choice.kind === 'script' ? 'script' : undefined, loader);
    t.regex(describeClient(client), /^[ -~]+$/);
  });
}
