import { RackbootError } from '../errors.js';

/** Everything that can be wrong with a node, a noderange, an assignment or a report. */
export type NodeErrorCode =
  | 'BAD_NODERANGE'
  | 'UNKNOWN_NODES'
  | 'EMPTY_NODERANGE'
  | 'TOO_MANY_NODES'
  | 'BAD_NAME'
  | 'BAD_MAC'
  | 'BAD_ADDRESS'
  | 'BAD_UUID'
  | 'BAD_SERIAL'
  | 'BAD_GROUP'
  | 'BAD_ATTRIBUTE'
  | 'NODE_EXISTS'
  | 'NO_SUCH_NODE'
  | 'BAD_TARGET'
  | 'BAD_ANSWER'
  | 'NO_SUCH_ENTRY'
  | 'BAD_STAGE'
  | 'BAD_KEY'
  | 'BAD_IMPORT'
  | 'NO_SUCH_GROUP'
  | 'NODES_NOT_SET';

/** A node, a noderange or what was asked of it that cannot be taken as given, and why. */
export class NodeError extends RackbootError<NodeErrorCode> {
  override readonly name = 'NodeError';
}
