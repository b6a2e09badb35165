import { RackbootError } from '../../errors.js';

/** Why bytes are not a DHCP message, or a message cannot be written. */
export type DhcpErrorCode =
  | 'TRUNCATED'
  | 'TOO_LONG'
  | 'BAD_OP'
  | 'BAD_COOKIE'
  | 'BAD_HARDWARE_ADDRESS'
  | 'BAD_OPTION'
  | 'BAD_ADDRESS'
  | 'TOO_LARGE';

/** An error of the DHCP codec. Nothing else is ever thrown by it, whatever the bytes. */
export class DhcpError extends RackbootError<DhcpErrorCode> {
  override readonly name = 'DhcpError';
}
