import { ipv4ToNumber } from './ipv4.js';
import { OPTION, encapsulatingOption, findOption, readEncapsulated } from './options.js';
import type { DhcpOption, DhcpPacket } from './packet.js';

/** Sub-options of option 43 for a PXEClient: PXE specification 2.1 §2.2.1, table 2-1. */
const PXE = { discoveryControl: 6, bootServers: 8, bootMenu: 9, menuPrompt: 10, bootItem: 71 } as const;

/** PXE_DISCOVERY_CONTROL: load the boot file of this offer, discover nothing. */
const USE_BOOT_FILE = 8;

/** PXE_DISCOVERY_CONTROL: no broadcast, no multicast, only the servers that are listed. */
const ASK_LISTED_SERVERS = 7;

/** The type of the one boot server of our menu, of those that are free for vendors (table 2-1, PXE_BOOT_SERVERS). */
const OUR_TYPE = 0x8000;

/** Option 43 for ROMs that take the boot file as it is given. */
export const useBootFile: DhcpOption = encapsulatingOption(
  OPTION.vendorSpecific,
  [{ code: PXE.discoveryControl, data: Buffer.of(USE_BOOT_FILE) }],
  { end: true },
);

/** Option 43 with a menu of one entry that is chosen at once: the ROM then asks `server`, port 4011, for its boot file. */
export function bootMenu(server: string): DhcpOption {
  const text = Buffer.from('rackboot', 'latin1');
  const servers = Buffer.alloc(7);
  servers.writeUInt16BE(OUR_TYPE, 0);
  servers.writeUInt8(1, 2);
  servers.writeUInt32BE(ipv4ToNumber(server), 3);
  const entry = Buffer.alloc(3);
  entry.writeUInt16BE(OUR_TYPE, 0);
  entry.writeUInt8(text.length, 2);
  return encapsulatingOption(
    OPTION.vendorSpecific,
    [
      { code: PXE.discoveryControl, data: Buffer.of(ASK_LISTED_SERVERS) },
      { code: PXE.bootServers, data: servers },
      { code: PXE.bootMenu, data: Buffer.concat([entry, text]) },
      { code: PXE.menuPrompt, data: Buffer.concat([Buffer.of(0), text]) }, // 0: no wait
    ],
    { end: true },
  );
}

/** Option 43 of the answer to a ROM that chose `packet`'s PXE_BOOT_ITEM out of a menu; undefined when it chose none. */
export function chosenItem(packet: DhcpPacket): DhcpOption | undefined {
  const data = findOption(packet, OPTION.vendorSpecific);
  const options = data === undefined ? undefined : readEncapsulated(data);
  const item = options?.find(({ code, data }) => code === PXE.bootItem && data.length === 4);
  return item && encapsulatingOption(OPTION.vendorSpecific, [item], { end: true });
}
