import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { TRANSFERS_PER_RACK } from '../../src/pxe/http/admission.js';
import { packageRoot } from '../../src/site/assets.js';
import { configJsonSchema, defaultConfig } from '../../src/site/config.js';
import { parseConfig } from '../../src/site/parse.js';
import { DHCP_LIMITS, HTTP_LIMITS, TFTP_LIMITS, XCAT_LIMITS } from '../../src/site/limits-config.js';

/** The rows of the table of limits: what is limited, to what, by which keys. */
const rows =
  /^## Limits\n(.*?)^## /ms
    .exec(readFileSync(join(packageRoot(), 'docs/ports.md'), 'utf8'))?.[1]
    ?.split('\n')
    .filter((line) => /^\| (?!limit |-)/.test(line))
    .map((line) => {
      const [, limit = '', value = '', key = ''] = line.split('|').map((cell) => cell.trim());
      return {
        limit,
        value,
        keys: [...key.matchAll(/`([a-z][A-Za-z.]*\.[A-Za-z.]+)`/g)].map(([, name = '']) => name),
      };
    }) ?? [];

const tables = { http: HTTP_LIMITS, tftp: TFTP_LIMITS, dhcp: DHCP_LIMITS, xcat: XCAT_LIMITS };

/** Every key that is a limit, with what holds without it. */
const limits = new Map<string, { readonly usual: number; readonly unit?: string }>([
  ...Object.entries(tables).flatMap(([part, table]) =>
    Object.entries(table).map(([name, limit]) => [`${part}.limits.${name}`, limit] as const),
  ),
  ['http.transfersPerRack', { usual: TRANSFERS_PER_RACK }],
  ['install.tokenTtl', { usual: defaultConfig().install.tokenTtl, unit: 'seconds' }],
  ['history.days', { usual: defaultConfig().history.days, unit: 'days' }],
  ['history.events', { usual: defaultConfig().history.events }],
  ['serve.holdGenerations', { usual: defaultConfig().serve.holdGenerations, unit: 'seconds' }],
]);

/** A number as the table writes it: seconds as `60 s`, days as `90 days`, bytes as `16 KiB` or `128 MiB` where they are whole. */
function written({ usual, unit }: { readonly usual: number; readonly unit?: string }): string {
  if (unit === 'seconds') return `${usual} s`;
  if (unit === 'days') return `${usual} days`;
  if (unit !== 'bytes') return String(usual);
  for (const [name, size] of [
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const)
    if (usual % size === 0) return `${usual / size} ${name}`;
  return `${usual} bytes`;
}

/** The part of the schema at `key`, or undefined. */
function schemaAt(key: string): { readonly description?: string } | undefined {
  let schema = configJsonSchema();
  for (const name of key.split('.')) {
    const next = schema.properties?.[name];
    if (typeof next !== 'object') return undefined;
    schema = next;
  }
  return schema;
}

test('every key that docs/ports.md names is one of rackboot.yaml', (t) => {
  const named = rows.flatMap(({ keys }) => keys);
  t.true(named.length > 20, `${named.length} keys`);
  t.deepEqual(
    named.filter((key) => schemaAt(key) === undefined),
    [],
  );
});

for (const [key, limit] of limits) {
  test(`${key} is in the table of limits with what holds without it`, (t) => {
    const own = rows.filter(({ keys }) => keys[0] === key);
    t.is(own.length, 1);
    const value = own[0]?.value ?? '';
    t.regex(value, new RegExp(`(?:^|[^0-9])${written(limit)}(?:$|[^0-9A-Za-z])`), value);
  });
}

test('what the schema says of a limit is what holds without it', (t) => {
  for (const [key, { usual }] of limits) {
    const about = schemaAt(key)?.description ?? '';
    if (/limits/.test(key)) t.regex(about, new RegExp(`; without it ${usual}$`), key);
  }
});

test('the limits that the guide sets as an example can be set', (t) => {
  const text = readFileSync(join(packageRoot(), 'docs/ports.md'), 'utf8');
  const blocks = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, block = '']) => block);
  t.true(blocks.length >= 2);
  for (const block of blocks) t.notThrows(() => parseConfig(block, 'docs/ports.md'), block);
});
