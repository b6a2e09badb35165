import type { Command } from 'commander';
import { editImage } from '../../osimage/edit/edit-image.js';
import { type Context, UsageError } from '../context.js';
import { addArchiveOptions, archiveOf, type ArchiveOptions } from './archive-options.js';
import { sourceDateEpoch } from './epoch.js';
import { resultJson, resultText, stopwatch } from './result.js';
import { untilStopped } from './until-stopped.js';

interface Options extends ArchiveOptions {
  readonly shell?: true;
  readonly network?: true;
}

/** `image edit`: a command with the image as its root, and what it changed as a generation. */
export function registerEdit(image: Command, context: Context): void {
  addArchiveOptions(image.command('edit'))
    .summary('run a command in the image and keep what it changes')
    .description(
      'Unpacks the image, runs a command with it as the root directory, and publishes what the command changed as the current generation: contents, permissions, owners, links, devices, deletions, times that it set. A command that fails or changes nothing makes no generation.',
    )
    .argument('<osimage>', 'the osimage')
    .argument('[command...]', 'after --: a program of the image and its arguments')
    .option('--shell', 'an interactive shell instead of a command')
    .option('--network', 'with this machine’s network and resolv.conf; by default there is none')
    .addHelpText(
      'after',
      `
As root the command runs as root. Any other user needs user namespaces: the command is root in one, files of
other owners keep them as long as it leaves them alone, and it can neither give files away nor make devices.
What it does below /dev and /proc is not kept; of what it writes the time is that of new entries,
unless it sets another: one before it started, or one to come.

Examples:
  rackboot image edit d12 -- sh -c 'echo hi > /etc/motd'
  rackboot image edit rocky9 --network -- dnf -y install chrony
  rackboot image edit d12 --shell`,
    )
    .action(async (osimage: string, words: string[], options: Options) => {
      if (options.shell === true ? words.length > 0 : words.length === 0)
        throw new UsageError(
          `give a command after --, or --shell: rackboot image edit ${osimage} -- sh -c 'echo hi > /etc/motd'`,
        );
      const { store } = await context.openStore();
      const elapsed = stopwatch();
      const result = await untilStopped(options.shell === true, (signal) =>
        editImage(store, {
          osimage,
          archiveOf: (manifest) => archiveOf(manifest, options),
          argv: options.shell === true ? 'shell' : words,
          network: options.network === true,
          user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
          ...sourceDateEpoch(),
          note: (line) => context.note(line),
          terminal: {
            term: process.env['TERM'] ?? 'dumb',
            // The result alone is what --json prints.
            stdout: context.json ? context.stderr : context.stdout,
            stderr: context.stderr,
            signal,
          },
        }),
      );
      for (const line of result?.notes ?? []) context.note(line);
      const ms = elapsed();
      context.print(
        result === undefined ? { osimage, changed: false } : { changed: true, ...resultJson(result, ms) },
        () =>
          result === undefined
            ? `${osimage}: the command changed nothing; there is no new generation`
            : resultText(result, ms),
      );
    });
}
