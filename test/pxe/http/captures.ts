/** Requests as real clients sent them, caught on a wire, for `path` instead of what they asked for. */
export function capturedRequests(path: string): readonly string[] {
  return CAPTURES.map((lines) => lines.join('\r\n').replace('PATH', path));
}

const SYSLINUX_COOKIE =
  '_Syslinux_ip=10.0.2.15%3A10.0.2.2%3A10.0.2.2%3A255.255.255.0;_Syslinux_BOOTIF=01-52-54-00-00-00-01;_Syslinux_CPU=6PXLS;' +
  '_Syslinux_SYSVENDOR=QEMU;_Syslinux_SYSPRODUCT=Standard+PC+%28i440FX+++PIIX%2C+1996%29;_Syslinux_SYSVERSION=pc-i440fx-7.2;' +
  '_Syslinux_BIOSVENDOR=SeaBIOS;_Syslinux_BIOSVERSION=1.16.2-debian-1.16.2-1;_Syslinux_SYSFF=1;';

const CURL = ['Host: 127.0.0.1:16970', 'User-Agent: curl/7.88.1', 'Accept: */*'] as const;
const FORM = 'Content-Type: application/x-www-form-urlencoded';

const CAPTURES: readonly (readonly string[])[] = [
  ['HEAD PATH HTTP/1.1', 'Host: 10.77.0.1', 'Accept: */*', 'User-Agent: UefiHttpBoot/1.0', '', ''], // OVMF 2022.11
  ['GET PATH HTTP/1.1', 'Host: 10.77.0.1', 'Accept: */*', 'User-Agent: UefiHttpBoot/1.0', '', ''],
  ['GET PATH HTTP/1.1', 'Host: 10.77.0.1', 'User-Agent: GRUB 2.06-13+deb12u2', '', ''],
  [
    'GET PATH HTTP/1.1',
    'Connection: keep-alive',
    'User-Agent: iPXE/1.0.0+git-20190125.36a4c85-5.1',
    'Host: 10.0.2.2:8099',
    '',
    '',
  ],
  [
    'GET PATH HTTP/1.0',
    'Host: 10.0.2.2:8099',
    'User-Agent: Syslinux/6.04',
    'Connection: close',
    `Cookie: ${SYSLINUX_COOKIE}`,
    '',
    '',
  ],
  ['GET PATH HTTP/1.1', ...CURL, '', ''],
  ['HEAD PATH HTTP/1.1', ...CURL, '', ''],
  ['GET PATH HTTP/1.1', 'Host: 127.0.0.1:16970', 'Range: bytes=100-', ...CURL.slice(1), '', ''],
  ['GET PATH HTTP/1.1', 'Host: 127.0.0.1:16970', 'Range: bytes=0-9,20-29', ...CURL.slice(1), '', ''],
  ['POST PATH HTTP/1.1', ...CURL, 'Content-Length: 10', FORM, '', 'stage=late'],
  ['POST PATH HTTP/1.1', ...CURL, 'Transfer-Encoding: chunked', FORM, '', '3', 'vm\n', '0', '', ''],
  ['GET PATH HTTP/1.1', 'Host: 127.0.0.1:16970', 'User-Agent: Wget', 'Connection: close', '', ''], // busybox
  [
    'GET PATH HTTP/1.1',
    'Host: 127.0.0.1:16970',
    'User-Agent: Wget/1.21.3',
    'Accept: */*',
    'Accept-Encoding: identity',
    'Connection: Keep-Alive',
    '',
    '',
  ],
];
