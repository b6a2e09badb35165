import type { BootDevice, Firmware, Press } from './verb.js';

/** Whether a machine is on. */
export type PowerState = 'on' | 'off';

/** What switches one machine. Every method throws PowerError, and ends when the signal it was opened with does. */
export interface PowerControl {
  state(): Promise<PowerState>;
  /** Resolves when the control has taken it: a machine may take longer. */
  press(press: Press): Promise<void>;
  /** What the machine boots from the next time, once. */
  bootNext(device: BootDevice, firmware: Firmware | undefined): Promise<void>;
  /** Ends its session; throws nothing. */
  close(): Promise<void>;
}
