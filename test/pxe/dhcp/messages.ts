import { type DhcpOption, type DhcpPacket, BOOTREQUEST } from '../../../src/pxe/dhcp/packet.js';
import { OPTION, addressOption, messageTypeOption, textOption } from '../../../src/pxe/dhcp/options.js';

/** The boot interface of node n1. */
export const MAC = '52:54:00:00:00:07';

/** A client's message with `options`, from MAC unless `fields` say otherwise. */
export function clientMessage(options: readonly DhcpOption[], fields: Partial<DhcpPacket> = {}): DhcpPacket {
  return {
    op: BOOTREQUEST,
    htype: 1,
    hops: 0,
    xid: 0x1234abcd,
    secs: 0,
    flags: 0,
    ciaddr: '0.0.0.0',
    yiaddr: '0.0.0.0',
    siaddr: '0.0.0.0',
    giaddr: '0.0.0.0',
    chaddr: Buffer.from(MAC.replaceAll(':', ''), 'hex'),
    sname: '',
    file: '',
    options,
    ...fields,
  };
}

export const is = messageTypeOption;
export const wants = (address: string): DhcpOption => addressOption(OPTION.requestedAddress, [address]);
export const chose = (server: string): DhcpOption => addressOption(OPTION.serverIdentifier, [server]);
export const vendor = (text: string): DhcpOption => textOption(OPTION.vendorClass, text);
export const arch = (type: number): DhcpOption => ({
  code: OPTION.clientArchitecture,
  data: Buffer.of(type >> 8, type & 255),
});
export const hex = (code: number, data: string): DhcpOption => ({ code, data: Buffer.from(data, 'hex') });
