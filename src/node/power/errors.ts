import { RackbootError } from '../../errors.js';

/** Everything that can be wrong with switching a machine, or with filling its virtual drive. */
export type PowerErrorCode =
  | 'BAD_VERB'
  | 'NO_CONTROL'
  | 'BAD_CREDENTIALS'
  | 'NO_CREDENTIALS'
  | 'MISSING_TOOL'
  | 'UNREACHABLE'
  | 'TIMED_OUT'
  | 'BAD_CERTIFICATE'
  | 'ACCESS_DENIED'
  | 'REFUSED'
  | 'UNSUPPORTED'
  | 'IS_OFF'
  | 'NO_ISO'
  | 'NOT_INSERTED'
  | 'STOPPED'
  | 'NODES_FAILED';

/** A machine that could not be switched, and the mend. Messages do not name the node: they are shown behind its name. */
export class PowerError extends RackbootError<PowerErrorCode> {
  override readonly name = 'PowerError';
}
