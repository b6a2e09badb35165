import test from 'ava';
import { parseBranding } from '../../../src/osimage/create/branding.js';

const table: readonly (readonly [string, string, ReturnType<typeof parseBranding>])[] = [
  [
    'plain',
    'PLATFORM_NAME=XCP\nPLATFORM_VERSION=3.4.0\n',
    { PLATFORM_NAME: 'XCP', PLATFORM_VERSION: '3.4.0' },
  ],
  [
    'quoted',
    `PRODUCT_BRAND="XCP-ng Lab"\nexport PRODUCT_VERSION='8.3.0' # ours\n`,
    { PRODUCT_BRAND: 'XCP-ng Lab', PRODUCT_VERSION: '8.3.0' },
  ],
  ['others, comments, and what is no assignment', '# PLATFORM_NAME=a\nCOMPANY=b\nPLATFORM_NAME\n', {}],
  ['the last of two', 'PLATFORM_NAME=a\nPLATFORM_NAME=b\n', { PLATFORM_NAME: 'b' }],
];

for (const [what, text, expected] of table)
  test(`branding: ${what}`, (t) => {
    t.deepEqual(parseBranding(text), expected);
  });
