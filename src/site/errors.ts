import { RackbootError } from '../errors.js';

export type SiteErrorCode =
  | 'NOT_A_SITE' // no rackboot.yaml where one is needed
  | 'BAD_CONFIG' // rackboot.yaml cannot be obeyed
  | 'SITE_EXISTS' // init on a directory that already is a site
  | 'NOT_EMPTY' // init on a directory that holds something else
  | 'NO_ACCESS' // the file system said no: permissions, read-only, full
  | 'BAD_TOKEN' // api.token cannot be read, made or used
  | 'BROKEN_PACKAGE'; // rackboot's own files are missing

/** What goes wrong with a site's directory and its rackboot.yaml. */
export class SiteError extends RackbootError<SiteErrorCode> {
  override readonly name = 'SiteError';
}
