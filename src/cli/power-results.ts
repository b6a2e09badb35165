import { type Command, InvalidArgumentError } from 'commander';
import { printable } from '../image/printable.js';
import { foldNames } from '../node/fold.js';
import { PowerError } from '../node/power/errors.js';
import type { NodeResult, Pace } from '../node/power/rack.js';
import type { SiteConfig } from '../site/config.js';
import type { Context } from './context.js';

/** The options that say how fast many machines are gone through. */
export interface PaceOptions {
  readonly parallel?: number;
  readonly stagger?: number;
  readonly timeout?: number;
}

/** `command` with those options, described behind `when`; what `rackboot.yaml` says holds without them. */
export function withPaceOptions(command: Command, when = ''): Command {
  return command
    .option(
      '--parallel <n>',
      `${when}machines that are spoken to at one time; without it power.parallel`,
      wholeFrom(1, 1024),
    )
    .option(
      '--stagger <seconds>',
      `${when}time between two machines that start; without it power.stagger`,
      secondsUpTo(600),
    )
    .option(
      '--timeout <seconds>',
      `${when}how long one machine may take; without it power.timeout`,
      secondsUpTo(3600),
    );
}

/** How fast to go: as the options say, else as the site does. Only machines that start are staggered. */
export function paceOf(config: SiteConfig['power'], options: PaceOptions, starts: boolean): Pace {
  return {
    parallel: options.parallel ?? config.parallel,
    stagger: starts ? (options.stagger ?? config.stagger) : 0,
    timeout: Math.max(options.timeout ?? config.timeout, 0.1),
  };
}

/**
 * Prints a node's line when it is known, as xCAT does: `n1: on`. Failures go to standard error. What the machine itself
 * said may be in it.
 */
export function showResult(context: Context, result: NodeResult): void {
  if (context.json) return;
  if (result.ok) context.stdout.write(`${result.node}: ${printable(result.result)}\n`);
  else context.note(`${result.node}: ${printable(result.error)}`);
}

/** Prints all results with --json, and fails when a node did. Throws PowerError NODES_FAILED. */
export function finishResults(context: Context, results: readonly NodeResult[]): void {
  if (context.json) context.print(results, () => '');
  requireAllDone(context, results);
}

/** Fails when a node did, whose line has been shown. Throws PowerError NODES_FAILED. */
export function requireAllDone(context: Context, results: readonly NodeResult[]): void {
  const failed = results.filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  const where = context.json ? 'error says why' : 'see the lines above';
  throw new PowerError(
    'NODES_FAILED',
    `${failed.length} of ${results.length} nodes failed: ${foldNames(failed.map(({ node }) => node))}; ${where}`,
  );
}

function wholeFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`it must be a whole number from ${least} to ${most}`);
  };
}

function secondsUpTo(most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : NaN;
    if (value <= most) return value;
    throw new InvalidArgumentError(`it must be a number of seconds up to ${most}`);
  };
}
