import type { NodeRecord } from '../../store/records.js';
import type { PowerDesk } from './desk.js';
import { PowerError } from './errors.js';
import { perform } from './perform.js';
import { findDrive } from './redfish/media.js';
import { firmwareOf } from './settings.js';
import type { Firmware } from './verb.js';

/** What is to be done to a node's virtual drive. */
export type MediumDeed =
  | {
      readonly kind: 'insert';
      readonly url: string;
      readonly boot: boolean;
      readonly firmware?: Firmware | undefined;
    }
  | { readonly kind: 'eject' }
  | { readonly kind: 'stat' };

/** What `media` is asked for. */
export type MediumVerb = MediumDeed['kind'];

/** Its words. */
export const MEDIUM_VERBS: readonly MediumVerb[] = ['insert', 'eject', 'stat'];

/** A verb of the command line. Throws PowerError BAD_VERB. */
export function parseMediumVerb(text: string): MediumVerb {
  const verb = MEDIUM_VERBS.find((each) => each === text);
  if (verb !== undefined) return verb;
  throw new PowerError('BAD_VERB', `cannot '${text.slice(0, 80)}' a medium; write insert, eject or stat`);
}

/**
 * Does `deed` to the virtual drive of a node, and gives back what it holds then: a URL or `empty`; with `boot` also what
 * boot said, as in `http://…/n1.iso, off on`. Throws PowerError.
 */
export async function changeMedium(
  desk: PowerDesk,
  node: NodeRecord,
  deed: MediumDeed,
  signal: AbortSignal,
): Promise<string> {
  const control = await desk.openRedfish(node, signal);
  try {
    const drive = await findDrive(control, signal);
    switch (deed.kind) {
      case 'stat':
        return (await drive.image()) ?? 'empty';
      case 'eject':
        await drive.eject();
        return 'empty';
      case 'insert': {
        await drive.insert(deed.url);
        if (!deed.boot) return deed.url;
        const firmware = deed.firmware ?? firmwareOf(node);
        return `${deed.url}, ${await perform(control, { verb: 'boot', next: 'cd', firmware })}`;
      }
    }
  } finally {
    await control.close();
  }
}
