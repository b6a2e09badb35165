import { execa } from 'execa';
import { codeOf } from '../../errors.js';
import { PcapError } from './pcap.js';

/** A capture is ended when it has grown to this many bytes. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * What tcpdump sees of DHCP on `interfaceName` in `seconds`, as a pcap file; it only listens. Throws PcapError NO_TCPDUMP,
 * or NOT_CAPTURED with tcpdump's own words.
 */
export async function captureDhcp(interfaceName: string, seconds: number): Promise<Buffer> {
  const filter = 'udp and (port 67 or port 68 or port 4011)';
  const result = await execa('tcpdump', ['-i', interfaceName, '-n', '-U', '-s', '0', '-w', '-', filter], {
    encoding: 'buffer',
    stdin: 'ignore',
    reject: false,
    timeout: seconds * 1000,
    killSignal: 'SIGINT',
    forceKillAfterDelay: 5000,
    maxBuffer: MOST_BYTES,
  });
  const ended = result.timedOut || result.isMaxBuffer || result.exitCode === 0;
  if (ended && result.stdout.length > 0) return Buffer.from(result.stdout);
  if (codeOf(result) === 'ENOENT') {
    throw new PcapError(
      'NO_TCPDUMP',
      'tcpdump is missing; install it (apt install tcpdump), or give --pcap FILE.',
    );
  }
  const said = Buffer.from(result.stderr).toString('latin1').trim().split('\n').at(-1) ?? '';
  throw new PcapError(
    'NOT_CAPTURED',
    `tcpdump on ${interfaceName}: ${said || 'it ended at once'}; name an interface that is up, and run as root.`,
  );
}
