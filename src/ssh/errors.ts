import { RackbootError } from '../errors.js';

/** What can be wrong with a connection by ssh. */
export type SshErrorCode = 'BAD_KEY' | 'UNKNOWN_HOST' | 'HOST_KEY_CHANGED' | 'ACCESS_DENIED' | 'UNREACHABLE';

/** A machine that cannot be spoken to by ssh, and the mend. */
export class SshError extends RackbootError<SshErrorCode> {
  override readonly name = 'SshError';
}
