import type { NodeRecord } from '../../store/records.js';
import type { PowerDesk } from './desk.js';
import { PowerError } from './errors.js';
import { type Deed, perform } from './perform.js';
import { firmwareOf } from './settings.js';
import type { Firmware } from './verb.js';

/** Does `deed` to one node; `firmware` is how it boots where its attribute does not say. Throws PowerError or SshError. */
export async function switchNode(
  desk: PowerDesk,
  node: NodeRecord,
  deed: Deed,
  signal: AbortSignal,
): Promise<string> {
  const firmware: Firmware | undefined = deed.firmware ?? firmwareOf(node);
  const control = await desk.open(node, signal);
  try {
    return await perform(control, { ...deed, firmware });
  } finally {
    await control.close();
  }
}

/**
 * Boots one node anew over the network, as rinstall does: its BMC is told to, once, then it is reset, or switched on. A
 * machine that cannot be told boots as its firmware is set; the result says so.
 */
export async function provisionNode(
  desk: PowerDesk,
  node: NodeRecord,
  firmware: Firmware | undefined,
  signal: AbortSignal,
): Promise<string> {
  const control = await desk.open(node, signal);
  try {
    const note = await control.bootNext('net', firmware ?? firmwareOf(node)).then(
      () => '',
      (error: unknown) => {
        const isItsWay = error instanceof PowerError && ['UNSUPPORTED', 'REFUSED'].includes(error.code);
        if (isItsWay) return ' (its boot order stays as it is)';
        throw error;
      },
    );
    return (await perform(control, { verb: 'boot' })) + note;
  } finally {
    await control.close();
  }
}
