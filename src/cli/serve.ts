import { once } from 'node:events';
import { Option, type Command } from 'commander';
import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';
import { startServers } from '../api/serve.js';
import type { Context } from './context.js';

/** `serve`: DHCP, TFTP, HTTP, API and page until it is stopped. */
export function registerServe(program: Command, context: Context): void {
  program
    .command('serve')
    .description('run DHCP, TFTP and HTTP as rackboot.yaml says, with the API and the page')
    .addOption(
      new Option('--log-level <level>', 'how much to log on standard error')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info'),
    )
    .addHelpText(
      'after',
      `
It prints what it listens on, and which interfaces get DHCP answers, then serves until it gets SIGINT or SIGTERM.
SIGHUP has it read dhcp in rackboot.yaml (except dhcp.loaders) and, with http.tls, the certificate and the key again;
transfers go on. Other changes take a restart.
Logs are JSON lines, or coloured text on a terminal.

Examples:
  rackboot --site /srv/rackboot serve
  rackboot --site /srv/rackboot serve --log-level debug 2> serve.log`,
    )
    .action(async (options: { logLevel: string }) => {
      const { site, store } = await context.openStore();
      const stopped = waitForStop();
      const servers = await startServers({ site, store, log: createLog(options.logLevel) });
      context.print(
        { url: servers.url, tftpPort: servers.tftpPort, announcement: servers.announcement },
        () => servers.announcement.join('\n'),
      );
      const onHangup = (): void => void servers.reload();
      process.on('SIGHUP', onHangup);
      try {
        await stopped;
      } finally {
        process.off('SIGHUP', onHangup);
        await servers.close();
      }
    });
}

function createLog(level: string): Logger {
  if (process.stderr.isTTY) {
    return pino(
      { level },
      pretty({
        destination: 2,
        sync: true,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss',
        singleLine: true,
      }),
    );
  }
  return pino({ level }, pino.destination({ dest: 2, sync: true }));
}

/** Resolves at the first SIGINT or SIGTERM. */
async function waitForStop(): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  await Promise.race([once(process, 'SIGINT', { signal }), once(process, 'SIGTERM', { signal })]);
  settled.abort();
}
