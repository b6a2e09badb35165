/** Requests as real clients sent them, caught on a wire. GRUB is Debian’s signed grubnetx64, iPXE QEMU’s ROM. */
export const CAPTURED_REQUESTS: readonly Buffer[] = [
  '\0\x01s.ipxe\0octet\0blksize\x001432\0tsize\x000\0', // iPXE 1.0.0+git-20190125
  '\0\x01snponly.efi\0octet\0blksize\x001432\0tsize\x000\0', // iPXE
  '\0\x01snponly.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0', // OVMF 2022.11: how large is it?
  '\0\x05\0\x08User aborted the transfer\0', // OVMF, having been told
  '\0\x01snponly.efi\0octet\0blksize\x001468\0windowsize\x004\0', // OVMF
  '\0\x01/grub/grub.cfg\0octet\0blksize\x001024\0tsize\x000\0', // GRUB 2.06
  '\0\x01/grub/x86_64-efi/http.mod\0octet\0blksize\x001024\0tsize\x000\0', // GRUB
  '\0\x01ldlinux.c32\0octet\0tsize\x000\0blksize\x001408\0', // PXELINUX 6.04
  '\0\x01pxelinux.cfg/01-52-54-00-00-00-01\0octet\0tsize\x000\0blksize\x001408\0', // PXELINUX
  '\0\x01pxelinux.cfg/0A00020F\0octet\0tsize\x000\0blksize\x001408\0', // PXELINUX
  '\0\x01pxelinux.cfg/default\0octet\0tsize\x000\0blksize\x001408\0', // PXELINUX
  '\0\x01boot/file\0octet\0', // tftp-hpa 5.2, curl --tftp-no-options
  '\0\x01boot/file\0netascii\0', // tftp-hpa
  '\0\x02up\0octet\0', // tftp-hpa: put
  '\0\x01boot/file\0octet\0timeout\x001\0blksize\x001468\0windowsize\x0016\0', // atftp 0.8.0
  '\0\x01boot/file\0octet\0tsize\x000\0windowsize\x0064\0', // atftp
  '\0\x01boot/file\0octet\0tsize\x000\0blksize\x001468\0timeout\x006\0', // curl 7.88
  '\0\x01boot/file\0octet\0blksize\x001468\0tsize\x000\0', // busybox 1.35
  '\0\x04\0\0', // iPXE, PXELINUX, GRUB: the options are accepted
].map((text) => Buffer.from(text, 'latin1'));

/** The files of those requests that a server can have. */
export const CAPTURED_NAMES: readonly string[] = [
  's.ipxe',
  'snponly.efi',
  'grub/grub.cfg',
  'ldlinux.c32',
  'pxelinux.cfg/default',
  'boot/file',
];
