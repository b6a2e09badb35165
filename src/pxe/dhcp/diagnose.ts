import type { Sighting } from './capture.js';
import { type Client, classifyClient, describeClient } from './client.js';
import { UNSPECIFIED } from './ipv4.js';
import { OPTION, findOption, readAddress, readMessageType, readText, type MessageType } from './options.js';
import { BOOTREQUEST, type DhcpPacket } from './packet.js';
import { PROXY_PORT } from './reply.js';

/** What a client's messages show. All but the last are faults. */
export type FindingKind =
  | 'no-answer'
  | 'bootp'
  | 'relay-unanswered'
  | 'two-servers'
  | 'ignores-proxy'
  | 'proxy-alone'
  | 'offers-not-taken'
  | 'no-boot-file'
  | 'wrong-class'
  | 'refused'
  | 'conflict'
  | 'served';

/** One thing that is wrong, or right, with what it takes to mend it; both are one line. */
export interface Finding {
  readonly kind: FindingKind;
  readonly what: string;
  readonly mend: string | null; // null when nothing is wrong
}

/** What became of one client. */
export interface Diagnosis {
  readonly mac: string;
  readonly client: string; // `PXE ROM, BIOS`
  readonly servers: readonly string[]; // that answered it
  readonly findings: readonly Finding[];
}

/** An offer or acknowledgement. */
interface Answer {
  readonly server: string;
  readonly address: string | undefined; // undefined from a proxy
  readonly bootFile: string | undefined;
  readonly vendorClass: string;
}

/** What one client said and was told. */
interface Story {
  readonly mac: string;
  readonly client: Client;
  readonly relays: ReadonlySet<string>;
  readonly isBootp: boolean; // it never says a DHCP message type, and nobody answers it
  readonly discovers: number; // as it sent them, without what relays repeat
  readonly offers: readonly Answer[];
  readonly acks: readonly Answer[];
  readonly naks: readonly { readonly server: string; readonly why: string }[];
  readonly requests: number;
  readonly chosen: string | undefined; // the server it asked for an address
  readonly declined: string | undefined;
  readonly askedProxy: boolean;
}

/** Explains, for each client of a capture in the order they appear, what it saw. Pure. */
export function diagnose(sightings: readonly Sighting[]): readonly Diagnosis[] {
  const byMac = new Map<string, Sighting[]>();
  for (const sighting of sightings) {
    const mac = [...sighting.packet.chaddr].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
    const own = byMac.get(mac);
    if (own === undefined) byMac.set(mac, [sighting]);
    else own.push(sighting);
  }
  return [...byMac].map(([mac, own]) => {
    const story = storyOf(mac, own);
    const servers = new Set([...story.offers, ...story.acks, ...story.naks].map(({ server }) => server));
    return { mac, client: describeClient(story.client), servers: [...servers], findings: findingsOf(story) };
  });
}

function storyOf(mac: string, sightings: readonly Sighting[]): Story {
  const asked = sightings.filter(({ packet }) => packet.op === BOOTREQUEST);
  const told = sightings.filter(({ packet }) => packet.op !== BOOTREQUEST);
  const of = (list: readonly Sighting[], type: MessageType): readonly Sighting[] =>
    list.filter(({ packet }) => typeOf(packet) === type);
  const direct = (list: readonly Sighting[]): number => {
    const own = list.filter(({ packet }) => packet.giaddr === UNSPECIFIED).length;
    return own === 0 ? list.length : own;
  };
  const firmware = asked.map(({ packet }) => classifyClient(packet)).find(({ kind }) => kind !== 'other');
  const requests = of(asked, 'request');
  return {
    mac,
    client: firmware ?? { kind: 'other' },
    relays: new Set(asked.map(({ packet }) => packet.giaddr).filter((giaddr) => giaddr !== UNSPECIFIED)),
    isBootp:
      asked.length > 0 &&
      told.length === 0 &&
      asked.every(({ packet }) => findOption(packet, OPTION.messageType) === undefined),
    discovers: direct(of(asked, 'discover')),
    offers: distinct(of(told, 'offer').map(answerOf)),
    acks: distinct(of(told, 'ack').map(answerOf)),
    naks: of(told, 'nak').map((nak) => ({
      server: serverOf(nak),
      why: readText(nak.packet, OPTION.message) ?? 'it does not say why',
    })),
    requests: direct(requests.filter(({ to }) => to.port !== PROXY_PORT)),
    chosen: requests
      .map(({ packet }) => addressIn(packet, OPTION.serverIdentifier))
      .find((id) => id !== undefined),
    declined: of(asked, 'decline').map(({ packet }) => addressIn(packet, OPTION.requestedAddress))[0],
    askedProxy: asked.some(({ to }) => to.port === PROXY_PORT),
  };
}

function findingsOf(story: Story): readonly Finding[] {
  const { offers, client } = story;
  const giving = offers.filter(({ address }) => address !== undefined);
  const proxies = offers.filter(({ address, bootFile }) => address === undefined && bootFile !== undefined);
  const isUnbooted =
    client.kind !== 'other' && giving.length > 0 && offers.every(({ bootFile }) => bootFile === undefined);
  const faults = [
    ...(story.isBootp ? [bootp()] : []),
    ...(story.discovers > 0 && offers.length === 0 && story.acks.length === 0 ? [unanswered(story)] : []),
    ...twoServers(story, giving),
    ...(offers.length > 0 && giving.length === 0 ? [proxyAlone(proxies)] : []),
    ...(giving.length > 0 && !isUnbooted && story.requests === 0 && story.acks.length === 0
      ? [notTaken(story, giving, proxies)]
      : []),
    ...wrongClass(story),
    ...(isUnbooted ? [noBootFile(giving)] : []),
    ...[...new Map(story.naks.map((nak) => [nak.server, nak])).values()].map(({ server, why }): Finding => ({
      kind: 'refused',
      what: `${server} refused the address it asked for: ${why}`,
      mend: 'it starts over by itself; when it does not end, two servers disagree about its address: turn one off.',
    })),
    ...(story.declined === undefined
      ? []
      : [
          {
            kind: 'conflict' as const,
            what: `it found ${story.declined} in use by another machine`,
            mend: `find that machine (arping ${story.declined}) and give one of the two another address.`,
          },
        ]),
  ];
  return faults.length > 0 ? faults : served(story);
}

function bootp(): Finding {
  return {
    kind: 'bootp',
    what: 'it asks by plain BOOTP, which rackboot answers for nodes with an address of their own alone',
    mend: 'give the node one (rackboot node set NODE --ip ADDRESS), or turn PXE or DHCP on in its setup.',
  };
}

function unanswered({ discovers, relays }: Story): Finding {
  const asked = `it asked ${times(discovers)} and nobody answered`;
  if (relays.size > 0) {
    return {
      kind: 'relay-unanswered',
      what: `${asked}, although the relay ${[...relays].join(', ')} passed it on`,
      mend: 'give that relay’s network an entry in dhcp.subnets with this relay in `relays`, add the node, and see that UDP 67 gets through both ways.',
    };
  }
  return {
    kind: 'no-answer',
    what: `${asked}; no relay passed it on either`,
    mend: 'on this wire, turn its interface on in dhcp.interfaces and add the node (rackboot node add); from another network, set up a relay (dhcrelay, ip helper-address) towards the server.',
  };
}

function twoServers({ chosen }: Story, giving: readonly Answer[]): readonly Finding[] {
  const servers = [...new Set(giving.map(({ server }) => server))];
  if (servers.length < 2) return [];
  const offers = giving.map(
    ({ server, address, bootFile }) => `${server} (${address ?? ''}, ${bootFile ?? 'no boot file'})`,
  );
  return [
    {
      kind: 'two-servers',
      what: `${servers.length} servers offered it an address: ${offers.join(' and ')}; it took ${chosen ?? 'none'}`,
      mend: 'let one server give addresses: turn the other off for this network, or set dhcp.interfaces to proxy here.',
    },
  ];
}

function proxyAlone(proxies: readonly Answer[]): Finding {
  return {
    kind: 'proxy-alone',
    what: `only the proxy ${namesOf(proxies)} answered; nobody gave it an address`,
    mend: 'start the DHCP server that gives addresses here, or set dhcp.interfaces to authoritative.',
  };
}

function notTaken(
  { discovers, client }: Story,
  giving: readonly Answer[],
  proxies: readonly Answer[],
): Finding {
  if (
    client.kind !== 'other' &&
    proxies.length > 0 &&
    giving.every(({ bootFile }) => bootFile === undefined)
  ) {
    return {
      kind: 'ignores-proxy',
      what: `it asked ${times(discovers)} and took neither ${namesOf(giving)}, who offers an address, nor the proxy ${namesOf(proxies)}: its ROM puts no two offers together`,
      mend: 'have the server that gives the address name the boot file too (docs/ports.md, DHCP modes), or be authoritative for it.',
    };
  }
  return {
    kind: 'offers-not-taken',
    what: `it asked ${times(discovers)} and never took what ${namesOf(giving)} offered`,
    mend: 'the offers do not reach it: look for a firewall, another VLAN, a relay that drops replies, or checksums left to a virtual card (ethtool -K IF tx off).',
  };
}

/** UEFI takes an offer for HTTP Boot only when it echoes the class (UEFI 2.10 §24.7.3.1). */
function wrongClass({ client, offers }: Story): readonly Finding[] {
  const booting = offers.filter(({ bootFile }) => bootFile !== undefined);
  if (client.kind !== 'http-boot' || booting.length === 0) return [];
  if (booting.some(({ vendorClass }) => vendorClass.startsWith('HTTPClient'))) return [];
  return [
    {
      kind: 'wrong-class',
      what: `it boots by HTTP, and ${namesOf(booting)} offers a boot file without option 60 HTTPClient, which it passes over`,
      mend: 'have that server echo option 60 with a URL, or let rackboot answer these machines.',
    },
  ];
}

function noBootFile(giving: readonly Answer[]): Finding {
  return {
    kind: 'no-boot-file',
    what: `it asked to be booted; ${namesOf(giving)} gave an address and nobody a boot file`,
    mend: 'set it to something (rackboot nodeset NODE osimage=NAME), and turn the interface on in dhcp.interfaces: proxy beside that server.',
  };
}

function served({ acks, askedProxy, offers }: Story): readonly Finding[] {
  const ack = acks.find(({ address }) => address !== undefined);
  if (ack === undefined) return [];
  const boot = [ack, ...acks, ...offers].find(({ bootFile }) => bootFile !== undefined);
  const from = boot === undefined || boot.server === ack.server ? '' : ` from the proxy ${boot.server}`;
  const file = boot === undefined ? 'no boot file' : `boot file ${boot.bootFile ?? ''}${from}`;
  const asked = askedProxy ? ', asked for at port 4011' : '';
  return [{ kind: 'served', what: `${ack.address ?? ''} from ${ack.server}, ${file}${asked}`, mend: null }];
}

function answerOf(sighting: Sighting): Answer {
  const { packet } = sighting;
  const { yiaddr, file } = packet;
  const option = readText(packet, OPTION.bootFileName);
  return {
    server: serverOf(sighting),
    address: yiaddr === UNSPECIFIED ? undefined : yiaddr,
    bootFile: option !== undefined && option !== '' ? option : file === '' ? undefined : printable(file),
    vendorClass: readText(packet, OPTION.vendorClass) ?? '',
  };
}

function serverOf({ packet, from }: Sighting): string {
  return addressIn(packet, OPTION.serverIdentifier) ?? from.address;
}

/** What is malformed counts as absent: a capture may hold anything. */
function addressIn(packet: DhcpPacket, code: number): string | undefined {
  return findOption(packet, code)?.length === 4 ? readAddress(packet, code) : undefined;
}

function typeOf(packet: DhcpPacket): MessageType | undefined {
  return findOption(packet, OPTION.messageType)?.length === 1 ? readMessageType(packet) : undefined;
}

function distinct(answers: readonly Answer[]): readonly Answer[] {
  return [...new Map(answers.map((answer) => [JSON.stringify(answer), answer])).values()];
}

function namesOf(answers: readonly Answer[]): string {
  return [...new Set(answers.map(({ server }) => server))].join(' and ');
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
