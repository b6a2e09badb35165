import { RackbootError } from '../errors.js';

/** Everything that can be wrong with a package repository or an install tree. */
export type RepoErrorCode =
  | 'NO_REPOSITORY' // no repodata/repomd.xml where one is needed
  | 'BAD_METADATA' // repomd.xml or a file it names cannot be read, or is not what it says
  | 'BAD_TREEINFO' // a .treeinfo that installers refuse
  | 'BAD_PACKAGE' // a file that is no RPM, or not the one the metadata means
  | 'UNRESOLVED' // a package needs something that nothing provides
  | 'NO_KEY' // no key to sign with, or none to check with
  | 'BAD_SIGNATURE' // a signature that is missing, weak or not by the key that the tree lists
  | 'SIGNING_FAILED' // the signer did not sign
  | 'UNSOUND' // what verify found
  | 'BAD_SOURCE' // a mirror's source that is no URL or version, or holds no repository
  | 'NOT_A_MIRROR' // a destination that holds files of another source
  | 'FETCH_FAILED' // the server does not answer, refuses, or sends something else
  | 'NO_ACCESS' // the file system said no
  | 'MISSING_TOOL'
  | 'TOOL_FAILED';

/** What goes wrong with a package repository, its metadata and its signatures. */
export class RepoError extends RackbootError<RepoErrorCode> {
  override readonly name = 'RepoError';
}
