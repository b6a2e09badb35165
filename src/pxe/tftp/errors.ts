import { RackbootError } from '../../errors.js';

/** Why bytes are not a TFTP packet. */
export type TftpErrorCode =
  'TRUNCATED' | 'TOO_LONG' | 'BAD_OPCODE' | 'BAD_STRING' | 'BAD_OPTION' | 'BAD_MODE';

/** An error of the TFTP codec. Nothing else is ever thrown by it, whatever the bytes. */
export class TftpError extends RackbootError<TftpErrorCode> {
  override readonly name = 'TftpError';
}
