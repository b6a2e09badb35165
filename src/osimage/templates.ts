import { sampleVariables } from '../template/variables.js';
import { renderTemplate } from '../template/render.js';

/** A record that has every key, for variables that only a node's own record can tell. */
const anything: Readonly<Record<string, string>> = new Proxy<Record<string, string>>(
  {},
  {
    get: (_target, key) => (typeof key === 'string' ? `sample-${key}` : undefined),
    has: () => true,
    getOwnPropertyDescriptor: (_target, key) => ({
      configurable: true,
      enumerable: true,
      value: `sample-${String(key)}`,
    }),
  },
);

/**
 * Tries a template with a node that has every attribute, so that a mistake shows when the image is built and not when a
 * node boots. Throws TemplateError BAD_TEMPLATE, naming file and line.
 */
export function checkTemplate(text: string, name: string, settings: Readonly<Record<string, string>>): void {
  renderTemplate(text, name, { ...sampleVariables(anything), settings });
}
