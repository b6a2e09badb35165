import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Sighting, readCapture } from '../../../src/pxe/dhcp/capture.js';
import { BROADCAST, UNSPECIFIED } from '../../../src/pxe/dhcp/ipv4.js';
import { OPTION, findOption, readMessageType } from '../../../src/pxe/dhcp/options.js';
import { BOOTREQUEST } from '../../../src/pxe/dhcp/packet.js';
import { SERVER_SIDE, type Segment } from './segment.js';

/** How long something may take to be seen, in milliseconds: machines are slow at times. */
const PATIENCE = 60_000;

/** What tcpdump sees of DHCP at the server's end of the first wire. */
export class Wire {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  static async watch(segment: Segment, file: string): Promise<Wire> {
    const words = ['-i', SERVER_SIDE.interface, '-n', '-U', '-s', '0', '-Z', 'root', '-w', file];
    const tcpdump = segment.server.spawn(['tcpdump', ...words, 'udp port 67 or 68']);
    await saying(tcpdump, /listening on/);
    return new Wire(file);
  }

  /** What the machine `mac` said and was told, in order: `discover`, `offer`, `request renewing`, `ack 10.77.0.20` … */
  async storyOf(mac: string): Promise<readonly string[]> {
    const { sightings } = readCapture(await readFile(this.#file));
    return sightings
      .filter(({ packet }) => packet.chaddr.toString('hex') === mac.replaceAll(':', ''))
      .map(wordsFor);
  }

  /** Waits until the story of `mac`, of what came after its first `after` words, matches; gives all of it. */
  async until(mac: string, pattern: RegExp, after = 0): Promise<readonly string[]> {
    for (const last = Date.now() + PATIENCE; ; await sleep(100)) {
      const story = await this.storyOf(mac);
      if (pattern.test(story.slice(after).join(', '))) return story;
      if (Date.now() > last) throw new Error(`no ${pattern.source} for ${mac} in: ${story.join(', ')}`);
    }
  }
}

/** Waits until `child` has written what matches to standard error. */
async function saying(child: ChildProcess, pattern: RegExp): Promise<void> {
  let text = '';
  child.stderr?.on('data', (bytes: Buffer) => (text += bytes.toString()));
  for (const last = Date.now() + PATIENCE; !pattern.test(text); await sleep(20))
    if (child.exitCode !== null || Date.now() > last) throw new Error(`tcpdump: ${text}`);
}

function wordsFor({ packet, to }: Sighting): string {
  const type = readMessageType(packet) ?? 'bootp';
  if (packet.op !== BOOTREQUEST) return packet.yiaddr === UNSPECIFIED ? type : `${type} ${packet.yiaddr}`;
  if (type !== 'request') return type;
  if (packet.ciaddr !== UNSPECIFIED)
    return to.address === BROADCAST ? 'request rebinding' : 'request renewing';
  return findOption(packet, OPTION.serverIdentifier) === undefined
    ? 'request init-reboot'
    : 'request selecting';
}
