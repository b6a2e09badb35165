import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../src/site/assets.js';

/** The lines of a guide's `sh` blocks, in their order; `page` is a name below docs/. */
export async function shellLines(page: string): Promise<readonly string[]> {
  const text = await readFile(join(packageRoot(), 'docs', page), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.trimEnd().split('\n'));
}

/** A shell function `rackboot` that runs the compiled program on the site in `dir`. */
export function shellProgram(dir: string): string {
  const program = join(packageRoot(), 'dist/src/cli/main.js');
  return `rackboot() { "${process.execPath}" "${program}" --site "${dir}" "$@"; }\n`;
}
