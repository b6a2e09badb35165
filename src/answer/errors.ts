import { RackbootError } from '../errors.js';

/** What can be wrong with an answer file; docs/errors.md explains it. */
export type AnswerErrorCode = 'BAD_ANSWERFILE';

/** An answer file that its installer would refuse or silently misread, by line and column. */
export class AnswerError extends RackbootError<AnswerErrorCode> {
  override readonly name = 'AnswerError';
}
