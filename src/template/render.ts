import { Liquid, LiquidError } from 'liquidjs';
import { TemplateError } from './errors.js';

const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  // `{% if node.attributes.x %}` and `| default:` may ask for what is not there; `{{ }}` alone may not.
  lenientIf: true,
  ownPropertyOnly: true,
  // Templates come from layers and render for hostile clients: no files, bounded work.
  templates: {},
  parseLimit: 4 * 1024 * 1024,
  renderLimit: 5000,
  memoryLimit: 64 * 1024 * 1024,
});

/**
 * The Liquid template `text` with `variables` filled in. `name` is what errors call it. Unknown variables, filters and
 * tags are TemplateError BAD_TEMPLATE naming file, line and the mend; a template cannot read files.
 */
export function renderTemplate(text: string, name: string, variables: object): string {
  try {
    return String(liquid.parseAndRenderSync(text, variables));
  } catch (error) {
    throw templateError(error, name, variables);
  }
}

function templateError(error: unknown, name: string, variables: object): TemplateError {
  if (!(error instanceof LiquidError)) {
    return new TemplateError('BAD_TEMPLATE', `${name}: cannot be rendered; check its tags`, { cause: error });
  }
  const where = /, line:(\d+), col:(\d+)/.exec(error.message);
  const what = error.message.replace(/, (?:file|line):.*/s, '').replace(/\s*\n\s*/g, ' ');
  const unknown = /^undefined variable: (.+)$/.exec(what)?.[1];
  const mend =
    unknown === undefined
      ? 'see the Liquid syntax in docs/templates.md'
      : `${knownBeside(unknown, variables)}; for an optional one write {{ ${unknown} | default: '' }}`;
  return new TemplateError(
    'BAD_TEMPLATE',
    `${name}${where === null ? '' : ` line ${where[1] ?? '?'}`}: ${what}; ${mend}`,
    { cause: error },
  );
}

/** What stands where `unknown` was looked for: for `node.x` the members of `node`. */
function knownBeside(unknown: string, variables: object): string {
  const steps = unknown.split('.').slice(0, -1);
  let scope: unknown = variables;
  let name = '';
  for (const step of steps) {
    const inner: unknown = Object.entries(Object(scope) as object).find(([key]) => key === step)?.[1];
    if (typeof inner !== 'object' || inner === null) break;
    scope = inner;
    name += `${step}.`;
  }
  const known = Object.keys(Object(scope) as object).map((key) => name + key);
  return known.length === 0 ? `${name.slice(0, -1)} is empty` : `known are: ${known.join(', ')}`;
}
