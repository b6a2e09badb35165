import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { codeOf, messageOf } from '../errors.js';
import type { SiteConfig } from './config.js';
import { SiteError } from './errors.js';
import { parseConfig } from './parse.js';

/** Where the parts of a site lie; absolute. */
export interface SitePaths {
  readonly database: string; // the SQLite file; unused when config.database is a postgres URL
  readonly store: string;
  readonly layers: string;
}

/** One rackboot installation: its directory and its configuration. */
export interface Site {
  readonly dir: string; // absolute
  readonly config: SiteConfig;
  readonly paths: SitePaths;
}

/** The name of the file that makes a directory a site. */
export const configFile = 'rackboot.yaml';

/** The site of directory `dir` with configuration `config`; touches nothing. */
export function siteAt(dir: string, config: SiteConfig): Site {
  const root = resolve(dir);
  return {
    dir: root,
    config,
    paths: { database: join(root, 'state.db'), store: join(root, 'store'), layers: join(root, 'layers') },
  };
}

/**
 * Opens the site in `dir`: reads its rackboot.yaml, and nothing else. Throws SiteError NOT_A_SITE when there is none,
 * NO_ACCESS when it cannot be read, BAD_CONFIG when it cannot be obeyed.
 */
export async function openSite(dir: string): Promise<Site> {
  const file = join(dir, configFile);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new SiteError(
        'NOT_A_SITE',
        `${dir}: not a rackboot site; make one with: rackboot --site ${dir} init`,
      );
    }
    throw new SiteError(
      'NO_ACCESS',
      `${file}: cannot be read (${code ?? messageOf(cause)}); make it a file that this user may read.`,
      { cause },
    );
  }
  return siteAt(dir, parseConfig(text, file));
}
