import { RackbootError } from '../errors.js';

/** Everything that can be wrong with an image, a layer's content or an ISO. */
export type ImageErrorCode =
  | 'TRUNCATED'
  | 'BAD_MAGIC'
  | 'BAD_HEADER'
  | 'BAD_CHECKSUM'
  | 'NAME_TOO_LONG'
  | 'FILE_TOO_LARGE'
  | 'UNSAFE_PATH'
  | 'UNKNOWN_CODEC'
  | 'NO_SUCH_ENTRY'
  | 'NO_SUCH_PART'
  | 'NOT_A_FILE'
  | 'EDIT_CONFLICT'
  | 'TOO_LARGE'
  | 'TOO_DEEP'
  | 'BAD_ISO'
  | 'BAD_VOLUME_ID'
  | 'MISSING_TOOL'
  | 'TOOL_FAILED'
  | 'NO_SUCH_LAYER'
  | 'BAD_LAYER'
  | 'BAD_SOURCE_URL'
  | 'WRONG_KERNEL'
  | 'BAD_ISO_REQUEST'
  | 'EXTRACT_FAILED'
  | 'NO_ROOM'
  | 'UNREADABLE';

/** An image that cannot be read, edited or written, and why. */
export class ImageError extends RackbootError<ImageErrorCode> {
  override readonly name = 'ImageError';
}
