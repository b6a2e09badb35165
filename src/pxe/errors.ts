import { RackbootError } from '../errors.js';

/** What can go wrong when a boot server starts or serves; docs/errors.md explains each. */
export type PxeErrorCode =
  | 'PORT_IN_USE'
  | 'NO_RIGHTS'
  | 'NO_ADDRESS'
  | 'NO_INTERFACE'
  | 'NO_SUBNET'
  | 'NO_PROBE'
  | 'SOCKET'
  | 'SHORT_FILE'
  | 'BAD_CERTIFICATE';

/** An error of the boot servers. */
export class PxeError extends RackbootError<PxeErrorCode> {
  override readonly name = 'PxeError';
}
