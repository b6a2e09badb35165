import { execa } from 'execa';
import type { PowerControl, PowerState } from './control.js';
import type { Credentials } from './credentials.js';
import { PowerError } from './errors.js';
import { type Endpoint, shownEndpoint } from './settings.js';
import type { BootDevice, Firmware, Press } from './verb.js';

/** How ipmitool is to speak to BMCs. */
export interface IpmiOptions {
  readonly privilege: 'ADMINISTRATOR' | 'OPERATOR';
  readonly cipher?: number | undefined;
  readonly retries: number;
}

/** ipmitool's words for them (IPMI 2.0 §28.3, Chassis Control). */
const PRESSES: Readonly<Record<Press, string>> = {
  on: 'on',
  off: 'off',
  softoff: 'soft',
  reset: 'reset',
  cycle: 'cycle',
  nmi: 'diag',
};

/** ipmitool's words for them (IPMI 2.0 §28.13, boot flags). */
const DEVICES: Readonly<Record<BootDevice, string>> = {
  net: 'pxe',
  cd: 'cdrom',
  disk: 'disk',
  setup: 'bios',
  default: 'none',
};

/** A machine whose BMC speaks IPMI over the network, by ipmitool: a session for each of its commands. */
export function ipmiControl(
  at: Endpoint,
  credentials: Credentials,
  options: IpmiOptions,
  signal: AbortSignal,
): PowerControl {
  const chassis = (...words: readonly string[]): Promise<string> =>
    runIpmitool(at, credentials, options, signal, ['chassis', ...words]);
  return {
    async state() {
      return stateOf(at, await chassis('power', 'status'));
    },
    async press(press) {
      await chassis('power', PRESSES[press]);
    },
    async bootNext(device, firmware) {
      await chassis('bootdev', DEVICES[device], ...bootOptions(device, firmware));
    },
    async close() {},
  };
}

function bootOptions(device: BootDevice, firmware: Firmware | undefined): string[] {
  return firmware === 'uefi' && device !== 'default' ? ['options=efiboot'] : [];
}

function stateOf(at: Endpoint, said: string): PowerState {
  const state = /Chassis Power is (on|off)/i.exec(said)?.[1]?.toLowerCase();
  if (state === 'on' || state === 'off') return state;
  throw new PowerError(
    'REFUSED',
    `${shownEndpoint(at)} does not say whether it is on; look at the BMC itself`,
  );
}

async function runIpmitool(
  at: Endpoint,
  { username, password }: Credentials,
  { privilege, cipher, retries }: IpmiOptions,
  signal: AbortSignal,
  command: readonly string[],
): Promise<string> {
  const words = [
    ...['-v', '-I', 'lanplus', '-H', at.host, '-p', String(at.port), '-U', username, '-L', privilege],
    // -E: the password is in the environment, which only we may read; in the arguments everybody could.
    ...['-E', '-N', '1', '-R', String(retries + 1)],
    ...(cipher === undefined ? [] : ['-C', String(cipher)]),
  ];
  const result = await execa('ipmitool', [...words, ...command], {
    stdin: 'ignore',
    reject: false,
    cancelSignal: signal,
    extendEnv: false,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      LC_ALL: 'C.UTF-8',
      IPMI_PASSWORD: password,
    },
    maxBuffer: 256 * 1024,
  });
  if (result.exitCode === 0) return result.stdout;
  if (result.isCanceled)
    throw new PowerError(
      'TIMED_OUT',
      `${shownEndpoint(at)} did not answer in time; see whether it is reachable, or give it longer with --timeout`,
    );
  if (result.code === 'ENOENT') {
    throw new PowerError('MISSING_TOOL', 'ipmitool is missing. Install it: apt-get install ipmitool');
  }
  throw explained(at, username, `${result.stderr}\n${result.stdout}`);
}

/** What ipmitool -v says of its failures, in our words. It never prints the password. */
function explained(at: Endpoint, username: string, said: string): PowerError {
  const where = shownEndpoint(at);
  if (/Address lookup for .* failed/.test(said))
    return new PowerError(
      'UNREACHABLE',
      `${at.host} is no host name that is known here; set its attribute bmc`,
    );
  if (/(?:password|username).*(?:longer than|too long)/i.test(said))
    return new PowerError(
      'ACCESS_DENIED',
      `${where}: IPMI takes users of 16 and passwords of 20 characters at most; set others on the BMC`,
    );
  if (/insufficient resources/i.test(said))
    return new PowerError('REFUSED', `${where} has no session left; wait until others have ended`);
  if (/RAKP 2 HMAC is invalid|RAKP [24] message indicates an error|HMAC is invalid/i.test(said))
    return new PowerError('ACCESS_DENIED', `${where} does not let '${username}' in; check user and password`);
  if (/cipher suite|no matching/i.test(said.replace('Unable to Get Channel Cipher Suites', '')))
    return new PowerError(
      'REFUSED',
      `${where} does not have that cipher suite; set power.ipmi.cipher (3 or 17)`,
    );
  if (/Unable to establish IPMI|Get Auth Capabilities error|Could not open socket/.test(said)) {
    return new PowerError(
      'UNREACHABLE',
      `${where} does not answer IPMI; check the address, and that IPMI over LAN is turned on there`,
    );
  }
  const lines = said.split('\n').map((line) => line.trim());
  const reason = lines.find((line) => /failed|error|invalid|insufficient/i.test(line) && !IDLE.test(line));
  return new PowerError(
    'REFUSED',
    `${where} refuses: ${reason?.slice(0, 200) ?? 'ipmitool says no more'}; look at the BMC itself`,
  );
}

/** Lines of ipmitool -v that say nothing of why it failed. */
const IDLE =
  /IANA PEN|^(?:Unable to Get Channel Cipher Suites|Invalid completion code received: Invalid command)/;
