import { execa } from 'execa';
import { codeOf } from '../../errors.js';
import { PxeError } from '../errors.js';
import type { ProbeTarget } from './probes.js';

/** How long an answer is waited for, in seconds. */
const PATIENCE = 1;

/**
 * The MAC address of who answers for an address on the wire, by ARP (RFC 5227 §2.1, from no address of ours); behind a
 * relay, `a machine` when it answers an ICMP echo. Undefined when nobody does. Throws PxeError NO_PROBE when the
 * programs of Debian's iputils-arping and iputils-ping are missing or may not send.
 */
export async function probeAddress({
  address,
  interface: name,
  isOnLink,
}: ProbeTarget): Promise<string | undefined> {
  const patience = String(PATIENCE);
  const [program, ...words] = isOnLink
    ? (['arping', '-D', '-f', '-c', '2', '-w', patience, '-I', name, address] as const)
    : (['ping', '-n', '-c', '1', '-W', patience, address] as const);
  const result = await execa(program, words, {
    stdin: 'ignore',
    reject: false,
    env: { LC_ALL: 'C' },
    timeout: (PATIENCE + 5) * 1000,
    forceKillAfterDelay: 1000,
    maxBuffer: 64 * 1024,
  });
  // arping -D ends with 1 when somebody answered, ping with 1 when nobody did; both with 2 when they could not ask.
  if (result.exitCode === 0) return isOnLink ? undefined : 'a machine';
  if (result.exitCode === 1) return isOnLink ? macIn(result.stdout) : undefined;
  const why = codeOf(result) === 'ENOENT' ? 'it is missing' : result.stderr.trim().split('\n').at(-1);
  throw new PxeError(
    'NO_PROBE',
    `${program} cannot look for machines at ${address}: ${why || 'it did not end'}. ` +
      'Install iputils-arping and iputils-ping and run as root, or take dhcp.probe out.',
  );
}

/** The MAC address in a line such as `Unicast reply from 10.77.0.20 [52:54:00:00:00:09]  0.6ms`. */
function macIn(output: string): string {
  return /\[((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})\]/.exec(output)?.[1]?.toLowerCase() ?? 'a machine';
}
