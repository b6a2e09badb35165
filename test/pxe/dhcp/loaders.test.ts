import test from 'ava';
import { loaderSource } from '../../../src/pxe/boot/loader-files.js';
import type { Client } from '../../../src/pxe/dhcp/client.js';
import { chooseLoader, DEFAULT_LOADERS, filesOf, type LoaderTable } from '../../../src/pxe/dhcp/loaders.js';
import { defaultConfig } from '../../../src/site/config.js';
import { LOADER_FILES } from '../../../src/site/loader-names.js';

type BootClient = Exclude<Client, { kind: 'other' }>;

const http = new Set(['http'] as const);
const clients = {
  'BIOS ROM': { kind: 'pxe', arch: 0 },
  'UEFI x64': { kind: 'pxe', arch: 7 },
  'UEFI x64, as 9': { kind: 'pxe', arch: 9 },
  'UEFI arm64': { kind: 'pxe', arch: 11 },
  'HTTP x64': { kind: 'http-boot', arch: 16 },
  'HTTP arm64': { kind: 'http-boot', arch: 19 },
  'iPXE BIOS': { kind: 'ipxe', arch: 0, features: http },
  'iPXE UEFI': { kind: 'ipxe', arch: 7, features: http },
  'iPXE x86 UEFI': { kind: 'ipxe', arch: 6, features: http },
  'iPXE BIOS, no HTTP': { kind: 'ipxe', arch: 0, features: new Set(['tftp'] as const) },
} satisfies Record<string, BootClient>;

const rows: readonly [
  client: keyof typeof clients,
  table: LoaderTable,
  own: string | undefined,
  expected: string,
][] = [
  ['BIOS ROM', {}, undefined, 'undionly.kpxe'],
  ['UEFI x64', {}, undefined, 'snponly.efi'],
  ['UEFI arm64', {}, undefined, 'none: no loader is configured for UEFI arm64'],
  ['HTTP x64', {}, undefined, 'snponly.efi'],
  ['iPXE BIOS', {}, undefined, 'script'],
  ['iPXE x86 UEFI', {}, undefined, 'script'],
  ['iPXE BIOS, no HTTP', {}, undefined, 'undionly.kpxe'],
  ['BIOS ROM', { bios: 'pxelinux' }, undefined, 'pxelinux.0'],
  ['BIOS ROM', { bios: 'my.kpxe' }, undefined, 'my.kpxe'],
  ['iPXE BIOS', { bios: 'pxelinux' }, undefined, 'script'],
  ['iPXE BIOS', { ipxe: 'pxelinux' }, undefined, 'pxelinux.0'],
  ['iPXE UEFI', { ipxe: 'pxelinux' }, undefined, 'none: its loader pxelinux is none for UEFI x64'],
  ['UEFI x64', { 'uefi-x64': 'shim' }, undefined, 'shimx64.efi'],
  ['UEFI x64, as 9', { 'uefi-x64': 'grub' }, undefined, 'core-x64.efi'],
  ['HTTP x64', { 'uefi-x64': 'grub' }, undefined, 'core-x64.efi'],
  ['HTTP x64', { 'uefi-x64': 'shim' }, undefined, 'none: its loader shim is none for UEFI x64 HTTP Boot'],
  [
    'HTTP x64',
    { 'uefi-x64': 'shimx64.efi' },
    undefined,
    'none: its loader shimx64.efi is none for UEFI x64 HTTP Boot',
  ],
  ['HTTP x64', { 'uefi-x64': 'shim', 'http-x64': 'grub' }, undefined, 'core-x64.efi'],
  ['UEFI arm64', { 'uefi-arm64': 'my-arm64.efi' }, undefined, 'my-arm64.efi'],
  ['HTTP arm64', { 'uefi-arm64': 'my-arm64.efi' }, undefined, 'my-arm64.efi'],
  ['UEFI arm64', { 'uefi-arm64': 'grub' }, undefined, 'none: its loader grub is none for UEFI arm64'],
  ['BIOS ROM', {}, 'pxelinux', 'pxelinux.0'],
  ['BIOS ROM', { bios: 'pxelinux' }, 'ipxe', 'undionly.kpxe'],
  ['iPXE BIOS', {}, 'pxelinux', 'pxelinux.0'],
  ['iPXE BIOS', {}, 'pxelinux.0', 'pxelinux.0'],
  ['iPXE BIOS', { ipxe: 'pxelinux' }, 'ipxe', 'script'],
  ['iPXE BIOS', {}, 'undionly.kpxe', 'script'],
  ['iPXE UEFI', {}, 'shim', 'shimx64.efi'],
  ['UEFI x64', {}, 'shim', 'shimx64.efi'],
  ['UEFI x64', {}, 'pxelinux.0', 'none: its loader pxelinux.0 is none for UEFI x64'],
];

for (const [name, table, own, expected] of rows) {
  const said = `${JSON.stringify(table)}${own === undefined ? '' : `, its node ${own}`}`;
  test(`${name} by ${said}: ${expected}`, (t) => {
    const choice = chooseLoader(clients[name], { ...DEFAULT_LOADERS, ...table }, own);
    const text =
      choice.kind === 'file' ? choice.name : choice.kind === 'none' ? `none: ${choice.why}` : choice.kind;
    t.is(text, expected);
  });
}

test('every file that a client may be given is published', (t) => {
  const names = Object.values(LOADER_FILES).flatMap((files) => Object.values(files));
  for (const name of names) t.not(loaderSource(name, defaultConfig()), undefined, name);
});

test('the files that a table needs, with those that they load', (t) => {
  t.deepEqual(filesOf(DEFAULT_LOADERS), ['undionly.kpxe', 'snponly.efi']);
  t.deepEqual(filesOf({ bios: 'pxelinux', 'uefi-x64': 'shim', 'http-x64': 'grub', ipxe: 'script' }), [
    ...['pxelinux.0', 'ldlinux.c32', 'libcom32.c32', 'mboot.c32'],
    ...['shimx64.efi', 'grubx64.efi', 'core-x64.efi'],
  ]);
  for (const name of filesOf({ bios: 'pxelinux', 'uefi-x64': 'shim' }))
    t.not(loaderSource(name, defaultConfig()), undefined, name);
});
