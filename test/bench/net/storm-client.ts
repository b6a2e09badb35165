// Nodes that boot at once, each from an address of its own: node storm-client.js COUNT. Prints a StormReport.
import { createHash, type Hash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  OPTION,
  addressOption,
  messageTypeOption,
  readMessageType,
  readText,
  textOption,
  type MessageType,
} from '../../../src/pxe/dhcp/options.js';
import {
  BOOTREQUEST,
  decodeDhcp,
  encodeDhcp,
  type DhcpOption,
  type DhcpPacket,
} from '../../../src/pxe/dhcp/packet.js';
import { RELAY, SERVER } from './lab.js';
import { HTTP_PORT, addressOf, macOf } from './site.js';

/** How it went. */
export interface StormReport {
  readonly seconds: readonly number[]; // of each node that has booted, shortest first
  readonly failures: readonly string[]; // of those that have not
  readonly refusals: number; // answers that said to ask again later
  readonly bytes: number;
}

/** A node whose boot files are compared with what the server says of them; the others’ are only counted. */
const LOOKED_AT = 50;
const PATIENCE = 15 * 60_000; // ms in which a node boots
const STALLED = 30_000; // ms without a byte

let refusals = 0;
let bytes = 0;

/** The relay agent that all nodes are behind. */
const relay = createSocket('udp4');
const answered = new Map<number, (reply: DhcpPacket) => void>(); // by transaction
relay.on('message', (message) => {
  const reply = decodeDhcp(message);
  answered.get(reply.xid)?.(reply);
});
await new Promise<void>((resolve) => relay.bind(67, RELAY, resolve));

/** Sends a message until it is answered, as clients do: after 1, 2, 4, 8 and 8 … seconds again (RFC 2131 §4.1). */
async function talk(node: number, options: readonly DhcpOption[], wanted: MessageType): Promise<DhcpPacket> {
  const message = encodeDhcp({
    op: BOOTREQUEST,
    htype: 1,
    hops: 1,
    xid: node,
    secs: 0,
    flags: 0,
    ciaddr: '0.0.0.0',
    yiaddr: '0.0.0.0',
    siaddr: '0.0.0.0',
    giaddr: RELAY,
    chaddr: Buffer.from(macOf(node).replaceAll(':', ''), 'hex'),
    sname: '',
    file: '',
    options: [...options, textOption(OPTION.userClass, 'iPXE')],
  });
  // An answer to what was sent before may still come.
  const reply = new Promise<DhcpPacket>((resolve) =>
    answered.set(node, (heard) => readMessageType(heard) === wanted && resolve(heard)),
  );
  try {
    for (let tries = 0; tries < 30; tries++) {
      relay.send(message, 67, SERVER.address);
      const heard = await Promise.race([
        reply,
        sleep(1000 * 2 ** Math.min(tries, 3), undefined, { ref: false }),
      ]);
      if (heard !== undefined) return heard;
    }
  } finally {
    answered.delete(node);
  }
  throw new Error('no answer from DHCP');
}

/** Gets an address and the URL of the boot script. */
async function configure(node: number): Promise<string> {
  const offer = await talk(node, [messageTypeOption('discover')], 'offer');
  const ack = await talk(
    node,
    [
      messageTypeOption('request'),
      addressOption(OPTION.requestedAddress, [offer.yiaddr]),
      addressOption(OPTION.serverIdentifier, [SERVER.address]),
    ],
    'ack',
  );
  if (ack.yiaddr !== addressOf(node)) throw new Error(`another node’s address, ${ack.yiaddr}`);
  return ack.file === '' ? (readText(ack, OPTION.bootFileName) ?? '') : ack.file;
}

const buffer = Buffer.allocUnsafeSlow(256 * 1024); // what all connections read into, one after the other

interface Answer {
  readonly status: number;
  readonly header: string;
  readonly text: string; // of the body, when it is short
}

/** One request on a connection of its own, from the node's address; the body is counted, and hashed when it is looked at. */
function get(node: number, url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const isLookedAt = node % LOOKED_AT === 0;
    let head = Buffer.alloc(0);
    let text = '';
    let header: string | undefined;
    let left = 0;
    let hash: Hash | undefined;
    let isEnded = false;
    const end = (error?: Error): void => {
      if (isEnded) return;
      isEnded = true;
      socket.destroy();
      if (error !== undefined || header === undefined) {
        reject(error ?? new Error(`${url}: the connection broke`));
        return;
      }
      const etag = /^etag: "([0-9a-f]{64})"/im.exec(header)?.[1];
      if (hash !== undefined && etag !== undefined && hash.digest('hex') !== etag)
        reject(new Error(`${url}: other bytes than those asked for`));
      else resolve({ status: Number(header.slice(9, 12)), header, text });
    };
    const take = (part: Buffer): void => {
      left -= part.length;
      bytes += part.length;
      hash?.update(part);
      if (text.length + part.length < 65536) text += part.toString('latin1');
      if (left <= 0) end(left < 0 ? new Error(`${url}: more bytes than announced`) : undefined);
    };
    const socket: Socket = connect({
      host: SERVER.address,
      port: HTTP_PORT,
      localAddress: addressOf(node),
      onread: {
        buffer,
        callback: (count) => {
          if (header !== undefined) {
            take(buffer.subarray(0, count));
            return true;
          }
          head = Buffer.concat([head, buffer.subarray(0, count)]);
          const at = head.indexOf('\r\n\r\n');
          if (at === -1) return true;
          header = head.subarray(0, at).toString('latin1');
          left = Number(/^content-length: (\d+)/im.exec(header)?.[1]);
          if (isLookedAt && header.startsWith('HTTP/1.1 200')) hash = createHash('sha256');
          take(head.subarray(at + 4));
          return true;
        },
      },
    });
    socket.setTimeout(STALLED, () => end(new Error(`${url}: nothing came for ${STALLED / 1000} s`)));
    socket.on('error', (error) => end(error));
    socket.on('close', () => end());
    socket.write(`GET ${new URL(url).pathname} HTTP/1.1\r\nHost: ${SERVER.address}:${HTTP_PORT}\r\n\r\n`);
  });
}

/** Fetches `url`; asks again when told to, and after a broken connection, as a boot script does. */
async function fetch(node: number, url: string, until: number): Promise<string> {
  for (let pause = 1; ; pause = Math.min(2 * pause, 30)) {
    try {
      const { status, header, text } = await get(node, url);
      if (status === 200) return text;
      if (status !== 503) throw new Error(`${url}: ${status}`);
      refusals++;
      await sleep(1000 * Number(/^retry-after: (\d+)/im.exec(header)?.[1] ?? pause));
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(1000 * pause * (0.5 + Math.random()));
    }
    if (Date.now() > until) throw new Error(`${url}: not in ${PATIENCE / 60_000} minutes`);
  }
}

/** Boots a node; how long that took, in seconds. */
async function boot(node: number): Promise<number> {
  const began = performance.now();
  const until = Date.now() + PATIENCE;
  const script = await fetch(node, await configure(node), until);
  const files = [...script.matchAll(/^(?:kernel|initrd) (?:--name \S+ )?(http\S+)/gm)].map(
    ([, url = '']) => url,
  );
  if (files.length !== 2) throw new Error(`a script without kernel and initrd: ${script}`);
  for (const url of files) await fetch(node, url, until);
  return (performance.now() - began) / 1000;
}

const nodes = Array.from({ length: Number(process.argv[2]) }, (_, index) => index + 1);
const results = await Promise.allSettled(nodes.map(boot));
const report: StormReport = {
  seconds: results
    .flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    .sort((a, b) => a - b),
  failures: results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : [])),
  refusals,
  bytes,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
relay.close();
