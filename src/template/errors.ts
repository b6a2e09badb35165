import { RackbootError } from '../errors.js';

/** What can be wrong with a template; docs/errors.md explains it. */
export type TemplateErrorCode = 'BAD_TEMPLATE';

/** A template of boot arguments or an answer file that cannot be rendered, by file and line. */
export class TemplateError extends RackbootError<TemplateErrorCode> {
  override readonly name = 'TemplateError';
}
