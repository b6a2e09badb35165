import { codeOf } from '../../errors.js';
import { defaultConfig } from '../../site/config.js';
import { siteAt, type Site } from '../../site/site.js';
import type { Context } from '../context.js';

/** The site that a command is called on; where there is none, one with the default configuration. */
export async function siteOrDefault(context: Context): Promise<Site> {
  return context.openSite().catch((error: unknown) => {
    if (codeOf(error) === 'NOT_A_SITE') return siteAt(context.siteDir, defaultConfig());
    throw error;
  });
}
