import { setTimeout as sleep } from 'node:timers/promises';
import type { PowerControl, PowerState } from '../control.js';
import { PowerError } from '../errors.js';
import type { BootDevice, Firmware, Press } from '../verb.js';
import { type Action, findAction } from './action.js';
import { at, linkAt, textAt, textsAt } from './body.js';
import type { RedfishClient, Resource } from './client.js';
import { findSystem, type SystemHint } from './system.js';

/** ResetType (DSP0268, Resource) for each press, the best first. */
const RESET_TYPES: Readonly<Record<Press, readonly string[]>> = {
  on: ['On', 'ForceOn'],
  off: ['ForceOff'],
  softoff: ['GracefulShutdown', 'PushPowerButton'],
  reset: ['ForceRestart', 'PowerCycle'],
  cycle: ['PowerCycle', 'FullPowerCycle'],
  nmi: ['Nmi'],
};

/** BootSourceOverrideTarget (DSP0268, ComputerSystem) for each device. */
const TARGETS: Readonly<Record<BootDevice, string>> = {
  net: 'Pxe',
  cd: 'Cd',
  disk: 'Hdd',
  setup: 'BiosSetup',
  default: 'None',
};

const POLL = 1000; // milliseconds

/** A machine whose BMC speaks Redfish. What it can do is read off the BMC. */
export class RedfishControl implements PowerControl {
  #system: Promise<Resource> | undefined;

  constructor(
    readonly client: RedfishClient,
    private readonly hint: SystemHint,
    private readonly signal: AbortSignal,
  ) {}

  /** The node's system as it was first read. */
  system(): Promise<Resource> {
    return (this.#system ??= findSystem(this.client, this.hint));
  }

  async state(): Promise<PowerState> {
    const { path } = await this.system();
    const { body } = await this.client.get(path);
    switch (textAt(body, 'PowerState')) {
      case 'On':
      case 'Paused':
      case 'PoweringOn':
      case 'PoweringOff':
        return 'on';
      case 'Off':
        return 'off';
      default:
        throw new PowerError(
          'REFUSED',
          `${this.client.where} does not say whether it is on; look at the BMC itself`,
        );
    }
  }

  async press(press: Press): Promise<void> {
    const { body } = await this.system();
    const action = await findAction(this.client, body, '#ComputerSystem.Reset');
    if (action === undefined)
      throw new PowerError('UNSUPPORTED', `${this.client.where} has no action that switches the machine`);
    if ((press === 'on' || press === 'off') && (await this.state()) === press) return;
    const type = resetType(action, press);
    if (type !== undefined) return this.#reset(action, type);
    if (press !== 'cycle') {
      const known = allowedTypes(action)?.join(', ') ?? '';
      throw new PowerError('UNSUPPORTED', `${this.client.where} cannot be told ${press}; it knows: ${known}`);
    }
    await this.press('off');
    while ((await this.state()) === 'on') {
      await sleep(POLL, undefined, { signal: this.signal }).catch(() => {
        throw new PowerError('TIMED_OUT', `${this.client.where} was told off and is on still; try again`);
      });
    }
    await this.press('on');
  }

  async bootNext(device: BootDevice, firmware: Firmware | undefined): Promise<void> {
    const { path, body } = await this.system();
    const target = TARGETS[device];
    const allowed = textsAt(body, 'Boot', 'BootSourceOverrideTarget@Redfish.AllowableValues');
    if (at(body, 'Boot') === undefined || (allowed?.includes(target) === false && device !== 'default')) {
      throw new PowerError(
        'UNSUPPORTED',
        `${this.client.where} cannot be told to boot from ${device}${allowed === undefined ? '' : `; it knows: ${allowed.join(', ')}`}`,
      );
    }
    const hasMode = textAt(body, 'Boot', 'BootSourceOverrideMode') !== undefined;
    const mode = firmware === undefined || !hasMode || device === 'default' ? undefined : MODES[firmware];
    const Boot = {
      BootSourceOverrideEnabled: device === 'default' ? 'Disabled' : 'Once',
      BootSourceOverrideTarget: target,
      ...(mode === undefined ? {} : { BootSourceOverrideMode: mode }),
    };
    const answer = await this.client.patch(path, { Boot });
    const settings = linkAt(body, '@Redfish.Settings', 'SettingsObject');
    const what = `to boot from ${device}`;
    if ((answer.status === 405 || answer.status === 400) && settings !== undefined) {
      this.client.require(await this.client.patch(settings, { Boot }), what);
    } else {
      this.client.require(answer, what);
    }
  }

  close(): Promise<void> {
    return this.client.close();
  }

  async #reset({ target }: Action, ResetType: string): Promise<void> {
    this.client.require(await this.client.post(target, { ResetType }), ResetType);
  }
}

const MODES: Readonly<Record<Firmware, string>> = { bios: 'Legacy', uefi: 'UEFI' };

/** The ResetType that is `press` on this BMC; undefined where it has none. One that does not say has the best. */
function resetType(action: Action, press: Press): string | undefined {
  const allowed = allowedTypes(action);
  return RESET_TYPES[press].find((type) => allowed?.includes(type) ?? true);
}

function allowedTypes({ parameters }: Action): readonly string[] | undefined {
  return parameters.find(({ name }) => name === 'ResetType')?.allowed;
}
