import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SiteError } from './errors.js';

let found: string | undefined;

/**
 * The directory rackboot is installed in: the one that holds its package.json, configs/, netboot/ and src/web/static.
 * The same whether this file runs from src/ or from dist/src/. Throws SiteError BROKEN_PACKAGE when there is none.
 */
export function packageRoot(): string {
  found ??= findPackageRoot(dirname(fileURLToPath(import.meta.url)));
  return found;
}

function findPackageRoot(start: string): string {
  for (let dir = start; ; dir = dirname(dir)) {
    const file = join(dir, 'package.json');
    if (
      existsSync(file) &&
      (JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown }).name === 'rackboot'
    ) {
      return dir;
    }
    if (dirname(dir) === dir) {
      throw new SiteError(
        'BROKEN_PACKAGE',
        `${start}: no package.json of rackboot in this or any parent directory; install rackboot again.`,
      );
    }
  }
}
