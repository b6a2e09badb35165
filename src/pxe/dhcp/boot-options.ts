import { useBootFile } from './boot-menu.js';
import type { Client } from './client.js';
import type { DhcpFacts, KnownNode } from './facts.js';
import { UNSPECIFIED } from './ipv4.js';
import { chooseLoader } from './loaders.js';
import { OPTION, encapsulatingOption, findOption, textOption } from './options.js';
import type { DhcpOption, DhcpPacket } from './packet.js';

/** iPXE's option no-pxedhcp: do not wait for a proxyDHCP server. */
const IPXE_NO_PXEDHCP = 176;

const FILE_FIELD = 128;

/** What a reply says about booting: header fields, options, and for the log the file or why there is none. */
export interface BootAnswer {
  readonly file: string | null; // a loader's name, or a URL
  readonly why: string; // one phrase; empty when there is a file
  readonly siaddr: string;
  readonly fileField: string;
  readonly options: readonly DhcpOption[];
}

/** What an answer about booting depends on besides who asks. */
export type BootFacts = Pick<DhcpFacts, 'tftpServer' | 'httpUrl' | 'loaders'>;

/** What `client` is told to boot in reply to `request` by us, who have the address `server` on its network. */
export function bootAnswer(
  request: DhcpPacket,
  client: Client,
  node: KnownNode,
  server: string,
  facts: BootFacts,
): BootAnswer {
  if (client.kind === 'other') return nothing('it is an operating system');
  const { intent } = node;
  if (intent.kind === 'offline') return nothing('it is set to offline');
  if (intent.kind === 'unknown') return nothing('nothing is assigned to it');

  const echoed = echoOption(request, OPTION.clientMachineId);
  const choice = chooseLoader(client, facts.loaders, node.loader);
  if (choice.kind === 'none') return nothing(choice.why);
  if (choice.kind === 'script') {
    const noProxy = { code: IPXE_NO_PXEDHCP, data: Buffer.of(1) };
    return answer(intent.scriptUrl, server, [
      ...echoed,
      encapsulatingOption(OPTION.ipxe, [noProxy], { end: false }),
    ]);
  }

  const loader = choice.name;
  if (client.kind === 'http-boot') {
    // UEFI 2.10 §24.7.3.1: the offer is taken for HTTP Boot only when it says HTTPClient too.
    return answer(`${facts.httpUrl}/loaders/${loader}`, UNSPECIFIED, [
      textOption(OPTION.vendorClass, 'HTTPClient'),
      ...echoed,
    ]);
  }
  if (facts.tftpServer === undefined) return nothing('TFTP is off, and its firmware loads by TFTP');
  const tftp = facts.tftpServer === 'subnet' ? server : facts.tftpServer.address;
  return answer(loader, tftp, [
    ...(client.kind === 'pxe' ? [textOption(OPTION.vendorClass, 'PXEClient')] : []),
    ...(client.kind === 'pxe' ? [useBootFile] : []),
    ...echoed,
    textOption(OPTION.tftpServerName, tftp),
  ]);
}

/** The request's option `code` as it came, when it came. */
export function echoOption(request: DhcpPacket, code: number): readonly DhcpOption[] {
  const data = findOption(request, code);
  return data === undefined ? [] : [{ code, data }];
}

function nothing(why: string): BootAnswer {
  return { file: null, why, siaddr: UNSPECIFIED, fileField: '', options: [] };
}

/** The boot file goes both into the header, where shim and old ROMs look, and into option 67. */
function answer(file: string, siaddr: string, options: readonly DhcpOption[]): BootAnswer {
  return {
    file,
    why: '',
    siaddr,
    fileField: file.length < FILE_FIELD ? file : '',
    options: [textOption(OPTION.bootFileName, file), ...options],
  };
}
