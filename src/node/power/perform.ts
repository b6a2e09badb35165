import type { PowerControl } from './control.js';
import { PowerError } from './errors.js';
import type { BootDevice, Firmware, PowerVerb } from './verb.js';

/** What is to be done to one machine. */
export interface Deed {
  readonly verb: PowerVerb;
  /** What it boots from the next time, set before. */
  readonly next?: BootDevice | undefined;
  readonly firmware?: Firmware | undefined;
}

/** Does it, and gives back what happened in xCAT's words: `on`, `off`, `reset`; `on reset` and `off on` for boot. */
export async function perform(control: PowerControl, { verb, next, firmware }: Deed): Promise<string> {
  if (verb === 'stat') return control.state();
  const asksFirst = verb === 'reset' || verb === 'cycle' || verb === 'boot';
  const state = asksFirst ? await control.state() : undefined;
  if (state === 'off' && verb !== 'boot') {
    throw new PowerError('IS_OFF', `it is off, so there is nothing to ${verb}; use on, or boot`);
  }
  if (next !== undefined) await control.bootNext(next, firmware);
  if (verb !== 'boot') {
    await control.press(verb);
    return verb;
  }
  const press = state === 'off' ? 'on' : 'reset';
  await control.press(press);
  return `${state ?? 'on'} ${press}`;
}
