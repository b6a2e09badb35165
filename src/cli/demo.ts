import type { Command } from 'commander';
import { runDemo } from '../demo/demo.js';
import { DemoError } from '../demo/errors.js';
import type { Context } from './context.js';

/** `demo`: the main job, end to end, in a private network namespace. */
export function registerDemo(program: Command, context: Context): void {
  program
    .command('demo')
    .summary('show the main job end to end in a virtual machine')
    .description(
      'Imports Debian’s network installer, boots a virtual machine into it over a private network, changes a file, boots again, writes the ISO and verifies it.',
    )
    .option('--once', 'end when all is shown; exit 0 only if every step was proved')
    .option('--listen <address:port>', 'where the status page listens; port 0 for any', '127.0.0.1:0')
    .addHelpText(
      'after',
      '\nNothing leaves this machine: the servers and the machines live in a network namespace of their own.\n\nExample:\n  rackboot demo --once',
    )
    .action(async (options: { once?: boolean; listen: string }) => {
      const stop = new AbortController();
      const onSignal = (): void => stop.abort(new DemoError('STOPPED', 'stopped'));
      process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
      const proved = await runDemo({
        pageListen: options.listen,
        signal: stop.signal,
        say: (line) => context.stdout.write(`${line}\n`),
        async linger(page) {
          if (options.once === true) return;
          context.stdout.write(`\nthe status page stays at ${page} until Ctrl-C\n`);
          if (!stop.signal.aborted)
            await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
        },
      });
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      if (!proved)
        throw new DemoError('NOT_SEEN', 'not every step was proved; what is missing is listed above');
    });
}
