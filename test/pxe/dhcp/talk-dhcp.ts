import { type Socket, createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { BROADCAST } from '../../../src/pxe/dhcp/ipv4.js';
import { OPTION, readAddress, readMessageType } from '../../../src/pxe/dhcp/options.js';
import { type DhcpPacket, decodeDhcp, encodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { CAPTURE_NAMES, capture } from './captures.js';
import { chose, clientMessage, is, wants } from './messages.js';
import { mutate, randomFrom } from './random.js';

/**
 * A client made of a datagram socket, for what real clients do not send. Arguments: the address and port to bind.
 * Reads one JSON command a line; prints every message that arrives, and when a storm is over.
 */
export type Command =
  | { readonly do: 'send'; readonly hex: string; readonly address: string; readonly port: number }
  | { readonly do: 'crowd'; readonly count: number } // as many clients ask for an address, and take what is offered first
  | {
      readonly do: 'flood'; // as many strangers, each once, as fast as they can
      readonly count: number;
      readonly server: string;
    }
  | {
      readonly do: 'storm'; // mutated captures, by broadcast and to `server`
      readonly count: number;
      readonly seed: number;
      readonly server: string;
      readonly ports: readonly number[]; // of `server`
      readonly probe: string; // a good message, hexadecimal: after every 100 mutated ones, waits for an answer to it
    };

const print = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const [address = '', port = '68'] = process.argv.slice(2);
let answered: (xid: number) => void = () => undefined;

const listen = async (via: 'unicast' | 'broadcast', to: string, at: number): Promise<Socket> => {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.on('message', (bytes, remote) => {
    const packet = decodeDhcp(bytes);
    const { chaddr, xid } = packet;
    if (crowd.has(xid) && readMessageType(packet) === 'offer') take(packet);
    print({
      via,
      from: remote.address,
      port: remote.port,
      hex: bytes.toString('hex'),
      mac: chaddr.toString('hex'),
      xid,
    });
    answered(xid);
  });
  await new Promise<void>((resolve) => socket.bind(at, to, resolve));
  return socket;
};
const socket = await listen('unicast', address, Number(port));
socket.setBroadcast(true);
await listen('broadcast', BROADCAST, 68);

const send = (bytes: Buffer, to: string, at: number): Promise<void> =>
  new Promise((resolve) => socket.send(bytes, at, to, () => resolve()));

/** The transaction of each client of a crowd that waits for an offer. */
const crowd = new Set<number>();

function take(offer: DhcpPacket): void {
  crowd.delete(offer.xid);
  const server = readAddress(offer, OPTION.serverIdentifier) ?? '';
  const request = clientMessage([is('request'), wants(offer.yiaddr), chose(server)], offerFields(offer));
  void send(encodeDhcp(request), BROADCAST, 67);
}

const offerFields = ({ xid, chaddr }: DhcpPacket): Pick<DhcpPacket, 'xid' | 'chaddr'> => ({ xid, chaddr });

/** Has `count` clients, 52:54:00:01:00:00 and on, ask a few at a time. */
async function gather(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const chaddr = Buffer.from([0x52, 0x54, 0, 1, index >> 8, index & 255]);
    const xid = 0x10000 + index;
    crowd.add(xid);
    await send(encodeDhcp(clientMessage([is('discover')], { chaddr, xid })), BROADCAST, 67);
    if (index % 8 === 7) await sleep(1);
  }
}

/** Sends `probe` with transaction id `xid` until it is answered; gives up after 20 times. */
async function probeOnce(probe: Buffer, xid: number): Promise<void> {
  const answer = new Promise<boolean>((resolve) => (answered = (heard) => heard === xid && resolve(true)));
  probe.writeUInt32BE(xid, 4);
  for (let tries = 0; tries < 20; tries += 1) {
    await send(probe, BROADCAST, 67);
    if (await Promise.race([answer, sleep(1000, false)])) return;
  }
  throw new Error(`no answer to a good message after mutated ones (xid ${xid})`);
}

async function flood({ count, server }: Extract<Command, { do: 'flood' }>): Promise<void> {
  const packet = encodeDhcp(clientMessage([is('discover')]));
  for (let index = 0; index < count; index += 1) {
    packet.writeUInt32BE(index, 4);
    packet.writeUInt32BE(index, 30); // the last octets of chaddr
    // As a broadcast, or with a made-up relay and its option 82.
    packet.writeUInt32BE(index % 2 === 0 ? 0 : 0x0a4d0000 + (index & 0xffff), 24);
    await send(packet, index % 2 === 0 ? BROADCAST : server, 67);
  }
  print({ flooded: count });
}

async function storm({
  count,
  seed,
  server,
  ports,
  probe,
}: Extract<Command, { do: 'storm' }>): Promise<void> {
  const random = randomFrom(seed);
  const originals = CAPTURE_NAMES.map(capture);
  for (let sent = 1; sent <= count; sent += 1) {
    const original = originals[Math.floor(random() * originals.length)] ?? Buffer.alloc(0);
    const port = ports[Math.floor(random() * ports.length * 2)];
    await send(mutate(original, random), port === undefined ? BROADCAST : server, port ?? 67);
    if (sent % 100 === 0) await probeOnce(Buffer.from(probe, 'hex'), sent);
  }
  print({ stormed: count });
}

createInterface(process.stdin)
  .on('line', (line) => {
    const command = JSON.parse(line) as Command;
    if (command.do === 'send') void send(Buffer.from(command.hex, 'hex'), command.address, command.port);
    else if (command.do === 'crowd') void gather(command.count);
    else if (command.do === 'flood') void flood(command);
    else void storm(command);
  })
  .on('close', () => process.exit());
print({ up: true });
