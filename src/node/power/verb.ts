import { closest, distance } from 'fastest-levenshtein';
import { PowerError } from './errors.js';

/** What a control does at once. */
export type Press = 'on' | 'off' | 'softoff' | 'reset' | 'cycle' | 'nmi';

/** What `power` is asked for: `boot` is reset for a machine that is on, on for one that is off. */
export type PowerVerb = Press | 'boot' | 'stat';

/** What a machine boots from the next time, once; `default` takes that back. */
export type BootDevice = 'net' | 'cd' | 'disk' | 'setup' | 'default';

/** How a machine's firmware boots, where that is known. */
export type Firmware = 'bios' | 'uefi';

const VERBS: Readonly<Record<string, PowerVerb>> = {
  on: 'on',
  off: 'off',
  softoff: 'softoff',
  reset: 'reset',
  cycle: 'cycle',
  nmi: 'nmi',
  boot: 'boot',
  stat: 'stat',
  state: 'stat',
  status: 'stat',
};

/** The verbs by the names that are shown. */
export const POWER_VERBS: readonly PowerVerb[] = [...new Set(Object.values(VERBS))];

/** The devices that `--next` takes. */
export const BOOT_DEVICES: readonly BootDevice[] = ['net', 'cd', 'disk', 'setup', 'default'];

/** A verb of the command line; `state` and `status` are `stat`, as in xCAT. Throws PowerError BAD_VERB. */
export function parseVerb(text: string): PowerVerb {
  const verb = Object.hasOwn(VERBS, text) ? VERBS[text] : undefined;
  if (verb !== undefined) return verb;
  const nearest = closest(text.slice(0, 80), Object.keys(VERBS));
  const hint = distance(text.slice(0, 80), nearest) > 2 ? '' : ` (did you mean '${nearest}'?)`;
  throw new PowerError(
    'BAD_VERB',
    `cannot '${text.slice(0, 80)}' a machine${hint}; write on, off, softoff, reset, cycle, boot, nmi or stat`,
  );
}

/** Whether a machine that is told so starts, and so may draw much current and read its boot device. */
export function startsMachine(verb: PowerVerb): boolean {
  return verb === 'on' || verb === 'reset' || verb === 'cycle' || verb === 'boot';
}
