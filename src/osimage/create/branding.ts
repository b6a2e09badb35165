import type { PlaceholderValues } from './configs/types.js';

const NAMES = ['PLATFORM_NAME', 'PLATFORM_VERSION', 'PRODUCT_BRAND', 'PRODUCT_VERSION'] as const;

/** What a branding package says of its product: lines `NAME=value` of a shell, quoted or not. */
export function parseBranding(text: string): PlaceholderValues {
  const values: Partial<Record<(typeof NAMES)[number], string>> = {};
  for (const line of text.split(/\r?\n/)) {
    const [, name, double, single, plain] =
      /^\s*(?:export\s+)?([A-Z_]+)=(?:"([^"]*)"|'([^']*)'|([^\s#;]*))\s*(?:[#;].*)?$/.exec(line) ?? [];
    const known = NAMES.find((candidate) => candidate === name);
    if (known !== undefined) values[known] = double ?? single ?? plain ?? '';
  }
  return values;
}
