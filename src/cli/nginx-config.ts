import { type Command, InvalidArgumentError } from 'commander';
import { nginxConfig } from '../pxe/http/nginx-config.js';
import { parseListen } from '../site/listen.js';
import type { Context } from './context.js';

/** `nginx-config`: a configuration that puts nginx in front of this site. */
export function registerNginxConfig(program: Command, context: Context): void {
  program
    .command('nginx-config')
    .description(
      'print a configuration for nginx that caches and sends immutable files and passes on all else',
    )
    .option('--listen <address:port>', 'where nginx listens', parseAddress, '0.0.0.0:80')
    .option('--cache <dir>', 'where nginx keeps what it sends', parseDirectory, '/var/cache/nginx/rackboot')
    .option('--cache-size <gigabytes>', 'how much of it, at most', parseGigabytes, 50)
    .addHelpText(
      'after',
      `
Set http.url to where nodes reach nginx, and add the address nginx asks from to http.proxies (127.0.0.1 when it runs
here). nginx needs its slice module, which Debian's has. What nginx sends out of its cache is not in a node's history.

Examples:
  rackboot nginx-config > /etc/nginx/conf.d/rackboot.conf
  rackboot nginx-config --listen 10.77.0.1:80 --cache-size 200`,
    )
    .action(async (options: { listen: string; cache: string; cacheSize: number }) => {
      const { config } = await context.openSite();
      const text = nginxConfig(config, {
        listen: options.listen,
        cache: options.cache,
        cacheGigabytes: options.cacheSize,
      });
      if (config.http.url === undefined)
        context.note('http.url is not set: boot scripts send nodes past nginx; set it to the URL of nginx');
      if ((config.http.proxies ?? []).length === 0)
        context.note(
          'http.proxies is empty: every node would look like nginx; add the address that nginx asks from',
        );
      context.print({ config: text }, () => text.trimEnd());
    });
}

function parseAddress(text: string): string {
  try {
    parseListen(text);
    return text;
  } catch {
    throw new InvalidArgumentError('Write address:port, such as 10.77.0.1:80.');
  }
}

function parseDirectory(text: string): string {
  if (!/^\/[\w./-]+$/.test(text))
    throw new InvalidArgumentError('Write an absolute directory without blanks or quotes.');
  return text;
}

function parseGigabytes(text: string): number {
  const number = Number(text);
  if (!/^\d{1,6}$/.test(text) || number < 1) throw new InvalidArgumentError('Write a whole number from 1.');
  return number;
}
