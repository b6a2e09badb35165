import { RackbootError } from '../../errors.js';

/** What keeps a boot entry from being said in a loader's language; docs/errors.md explains each. */
export type BootErrorCode =
  | 'BAD_ARGUMENTS'
  | 'BAD_ENTRY'
  | 'BAD_PATH'
  | 'BAD_URL'
  | 'NO_ANSWER'
  | 'NO_ENTRY'
  | 'NO_LOADER'
  | 'NOT_ASSIGNED'
  | 'NOT_BOOTABLE';

/** A boot entry that a loader cannot be told. */
export class BootError extends RackbootError<BootErrorCode> {
  override readonly name = 'BootError';
}
