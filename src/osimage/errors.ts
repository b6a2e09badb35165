import { RackbootError } from '../errors.js';

/** What can be wrong with an osimage, a generation or a layer. */
export type OsimageErrorCode =
  | 'NO_SUCH_OSIMAGE'
  | 'NO_SUCH_GENERATION'
  | 'AMBIGUOUS_GENERATION'
  | 'BAD_NAME'
  | 'BAD_SOURCE'
  | 'BAD_BUNDLE'
  | 'UNKNOWN_FAMILY'
  | 'STALE_DIRECTORY'
  | 'BAD_MANIFEST'
  | 'NO_ROOT'
  | 'COMMAND_FAILED'
  | 'BAD_SETTING'
  | 'BAD_SYNCLIST'
  | 'SIZE_LIMIT';

/** An osimage that cannot be imported, built or found, and the mend. */
export class OsimageError extends RackbootError<OsimageErrorCode> {
  override readonly name = 'OsimageError';
}
