import { sampleVariables, type BootVariables } from '../template/variables.js';
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

/** What the values of that record look like. */
export const SAMPLE_VALUE = /\bsample-/;

/** The variables of a node that has every attribute. */
export function sampleNode(settings: Readonly<Record<string, string>>): BootVariables {
  return { ...sampleVariables(anything), settings };
}

/**
 * Tries a template with a node that has every attribute, so that a mistake shows when the image is built and not when a
 * node boots. Throws TemplateError BAD_TEMPLATE, naming file and line.
 */
export function checkTemplate(text: string, name: string, settings: Readonly<Record<string, string>>): void {
  renderTemplate(text, name, sampleNode(settings));
}
