import { join } from 'node:path';
import type { Command } from 'commander';
import { initSite } from '../site/init.js';
import { configFile } from '../site/site.js';
import type { Context } from './context.js';

/** `init [DIR]`: makes a site. */
export function registerInit(program: Command, context: Context): void {
  program
    .command('init')
    .description('make a site: a directory with a commented rackboot.yaml')
    .argument('[dir]', 'the directory, made when missing; that of --site when left out')
    .addHelpText(
      'after',
      `
Examples:
  rackboot --site /srv/rackboot init
  rackboot init /srv/rackboot`,
    )
    .action(async (dir: string | undefined) => {
      const site = await initSite(dir ?? context.siteDir);
      const config = join(site.dir, configFile);
      context.print({ dir: site.dir, config }, () => `made ${site.dir}; its configuration is ${config}`);
    });
}
