import { stringify } from 'yaml';
import type { z } from 'zod';
import { configJsonSchema, defaultConfig } from './config.js';

/**
 * The rackboot.yaml of a new site: every key with its meaning and its default, a key without a default commented out
 * with an example. Reads as the default configuration.
 */
export function renderDefaultConfig(): string {
  const head =
    '# The configuration of this rackboot site. Every value below is the default; a key may be left out.\n';
  return head + renderKeys(configJsonSchema(), defaultConfig(), '');
}

function renderKeys(schema: z.core.JSONSchema.BaseSchema, values: object, indent: string): string {
  const blocks = Object.entries(schema.properties ?? {}).map(([key, property]) => {
    if (typeof property !== 'object') return '';
    const value = (values as Readonly<Record<string, unknown>>)[key];
    const about = property.description === undefined ? '' : `${indent}# ${property.description}.\n`;
    if (value === undefined) return about + `${indent}#${keyLine(key, property.examples?.[0])}`;
    if (property.properties !== undefined && typeof value === 'object' && value !== null) {
      return `${about}${indent}${key}:\n${renderKeys(property, value, `${indent}  `)}`;
    }
    return about + indent + keyLine(key, value);
  });
  return (indent === '' ? '\n' : '') + blocks.join(indent === '' ? '\n' : '');
}

function keyLine(key: string, value: unknown): string {
  return `${key}: ${stringify(value, { collectionStyle: 'flow', lineWidth: 0 })}`;
}
