import { renderTemplate } from '../template/render.js';
import { checkAnswer, type AnswerSetting } from './check.js';
import { AnswerError } from './errors.js';
import { templatePlace } from './template-line.js';

/** At most so many mistakes are named in one message. */
const NAMED = 5;

/**
 * The answer file that `template` renders to. With `setting` it is one of XCP-ng or XenServer and is checked. `name` is
 * what errors call the template. Throws TemplateError BAD_TEMPLATE, and AnswerError BAD_ANSWERFILE with the line and
 * column of the template and what may stand there.
 */
export function renderAnswer(
  template: string,
  name: string,
  variables: object,
  setting: AnswerSetting | undefined,
): string {
  const rendered = renderTemplate(template, name, variables);
  if (setting === undefined) return rendered;
  const problems = checkAnswer(rendered, setting);
  if (problems.length === 0) return rendered;
  const said = problems.slice(0, NAMED).map(({ place, message }) => {
    const source = templatePlace(template, rendered, variables, place);
    const { line, column } = source ?? place;
    return `${source === undefined ? 'rendered ' : ''}line ${line} column ${column}: ${message}`;
  });
  const more = problems.length - said.length;
  throw new AnswerError(
    'BAD_ANSWERFILE',
    `${name} ${said.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
  );
}
