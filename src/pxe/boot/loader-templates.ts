import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Liquid, type Template } from 'liquidjs';
import { packageRoot } from '../../site/assets.js';

const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  templates: {},
});
const parsed = new Map<string, Template[]>();

/** The template netboot/<name> filled in. Each is read once; the values must already be quoted for the loader. */
export function fillLoaderTemplate(name: string, values: object): string {
  let template = parsed.get(name);
  if (template === undefined) {
    template = liquid.parse(readFileSync(join(packageRoot(), 'netboot', name), 'utf8'), name);
    parsed.set(name, template);
  }
  return String(liquid.renderSync(template, values));
}
