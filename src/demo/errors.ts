import { RackbootError } from '../errors.js';

/**
 * NO_LAB: this machine does not allow a private network namespace with a bridge and taps.
 * LAB_FAILED: a command inside the lab failed, or the lab went away.
 * MACHINE_FAILED: a virtual machine did not start, or stopped before it showed what was waited for.
 * NOT_SEEN: something that was waited for did not happen in time.
 * STOPPED: the caller's signal ended the wait.
 */
export type DemoErrorCode = 'NO_LAB' | 'LAB_FAILED' | 'MACHINE_FAILED' | 'NOT_SEEN' | 'STOPPED';

/** What goes wrong in the private lab and in its machines. */
export class DemoError extends RackbootError<DemoErrorCode> {
  override readonly name = 'DemoError';
}
