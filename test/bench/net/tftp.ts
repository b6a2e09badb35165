import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Row } from '../ratio-table.js';
import { SERVER, type Lab, type Running } from './lab.js';
import type { TftpPeer } from './peers.js';
import { TFTP_PORT } from './site.js';

const DELAY_RELAY = fileURLToPath(new URL('delay-relay.js', import.meta.url));
const RELAY_PORT = 6999;
const BLKSIZE = 1468;
const MB = 1e6;

/** A TFTP server to be measured, running, and the name of the file to fetch. */
interface Subject {
  readonly name: string;
  readonly port: number;
  readonly file: string;
}

/** The published file: as it is, how peers call it, how we do. */
export interface TftpFixture {
  readonly bytes: Buffer;
  readonly ofPeers: string;
  readonly ofOurs: string;
  readonly root: string; // the directory that peers serve
  readonly scratch: string; // a directory in memory for what is fetched
}

const OURS = 'rackboot';

/** What fetching from a server took. */
interface Fetched {
  readonly rate: number; // MB/s, of the middle one; 0 when that was aborted or changed
  readonly times: number;
  readonly aborted: number; // of them, or changed
}

type Rates = ReadonlyMap<string, Fetched>;

/** Fetches a large file block by block and by windows, on a wire without and with loss, and over a distance. */
export async function benchTftp(
  lab: Lab,
  others: readonly TftpPeer[],
  { large, small, tiny }: Readonly<Record<'large' | 'small' | 'tiny', TftpFixture>>,
  ourServer: () => Promise<Running>,
  say: (line: string) => void,
): Promise<Row[]> {
  const size = `${Math.round(large.bytes.length / MB)} MB`;
  say(`TFTP: ${size}, windowsize 1`);
  const stepwise = await measure(lab, others, large, ourServer, say, { window: 1, rounds: 3, times: 3 });
  say(`TFTP: ${size}, windowsize 16`);
  const wide = others.filter(({ negotiatesWindows }) => negotiatesWindows);
  const windowed = await measure(lab, wide, large, ourServer, say, { window: 16, rounds: 3, times: 5 });
  say('TFTP: 5 ms away');
  const delayed = await measure(lab, others, small, ourServer, say, { window: 64, times: 1, delay: 5 });
  say('TFTP: one packet in a hundred lost');
  const lossy = await measureLossy(lab, others, tiny, ourServer, say);
  const less = `${Math.round(small.bytes.length / MB)} MB`;
  const least = `${Math.round(tiny.bytes.length / MB)} MB`;
  return [
    ...rows(`TFTP, ${size}, windowsize 1`, stepwise, fastestFirst(stepwise), 1),
    ...rows(`TFTP, ${size}, windowsize 16`, windowed, peers(windowed), 1.1),
    ...rows(`TFTP, ${less}, 5 ms away`, delayed, peers(delayed), 8),
    ...rows(`TFTP, ${least}, 1 % loss`, lossy, peers(lossy), 8),
  ];
}

/**
 * With one packet in a hundred lost on arrival. What leaves the server is cut into packets before, as on a wire: a window
 * that crosses the lab's as one piece would be lost as one.
 */
async function measureLossy(
  lab: Lab,
  others: readonly TftpPeer[],
  fixture: TftpFixture,
  ourServer: () => Promise<Running>,
  say: (line: string) => void,
): Promise<Rates> {
  const cutting = (by: 'card' | 'kernel') =>
    lab.server.must(['ethtool', '-K', SERVER.interface, 'tx-udp-segmentation', by === 'card' ? 'on' : 'off']);
  await cutting('kernel');
  await lab.lose(100);
  try {
    return await measure(lab, others, fixture, ourServer, say, {
      window: 64,
      times: 15,
      seconds: 60,
      enough: 20,
    });
  } finally {
    await lab.lose(0);
    await cutting('card');
  }
}

function rows(work: string, rates: Rates, against: readonly string[], least: number): Row[] {
  return against.map((peer) => ({
    work,
    peer,
    ours: rates.get(OURS)!.rate,
    theirs: rates.get(peer)!.rate,
    unit: 'MB/s',
    goal: { least },
    ...noteOf(rates, peer),
  }));
}

/** How often fetches from us and from `peer` were aborted, if any was. */
function noteOf(rates: Rates, peer: string): { note: string } | undefined {
  const counts = [OURS, peer].map((name) => {
    const { aborted, times } = rates.get(name)!;
    return { aborted, text: `${name} ${aborted} of ${times}` };
  });
  if (counts.every(({ aborted }) => aborted === 0)) return undefined;
  return { note: `aborted: ${counts.map(({ text }) => text).join(', ')}` };
}

function peers(rates: Rates): string[] {
  return [...rates.keys()].filter((name) => name !== OURS);
}

function fastestFirst(rates: Rates): string[] {
  return peers(rates).sort((a, b) => rates.get(b)!.rate - rates.get(a)!.rate);
}

interface How {
  readonly window: number;
  readonly rounds?: number; // in which each server has its turn; one unless told
  readonly times: number; // fetched from each server in a round; the middle one of all counts
  readonly enough?: number; // seconds, after which three times are
  readonly delay?: number; // ms, from the server to the client
  readonly seconds?: number; // that one fetch may take, 120 unless told
}

/** Fetches from every server with the same client, in turns; each is started and stopped by itself. */
async function measure(
  lab: Lab,
  others: readonly TftpPeer[],
  fixture: TftpFixture,
  ourServer: () => Promise<Running>,
  say: (line: string) => void,
  how: How,
): Promise<Rates> {
  const ours = { name: OURS, port: TFTP_PORT, file: fixture.ofOurs, start: ourServer };
  const theirs = others.map((peer) => ({
    name: peer.name,
    port: peer.port,
    file: fixture.ofPeers,
    start: () => peer.start(lab, fixture.root),
  }));
  const subjects = [ours, ...theirs];
  const rates = new Map(subjects.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < (how.rounds ?? 1); round++) {
    for (const subject of [...subjects.slice(round), ...subjects.slice(0, round)]) {
      const server = await subject.start();
      try {
        rates.get(subject.name)!.push(...(await fetchOften(lab, fixture, subject, how)));
      } finally {
        await server.stop();
      }
    }
  }
  return new Map(
    [...rates].map(([name, each]) => {
      const fetched = summaryOf(each);
      say(`TFTP: ${name} ${fetched.rate.toFixed(2)} MB/s, ${fetched.aborted} of ${fetched.times} aborted`);
      return [name, fetched];
    }),
  );
}

function summaryOf(rates: readonly number[]): Fetched {
  const rate = rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)] ?? NaN;
  return { rate, times: rates.length, aborted: rates.filter((each) => each === 0).length };
}

async function fetchOften(lab: Lab, fixture: TftpFixture, subject: Subject, how: How): Promise<number[]> {
  if (how.delay === undefined) return fetchTimes(lab, fixture, subject, subject.port, how);
  const relay = await lab.server.start(
    [
      process.execPath,
      DELAY_RELAY,
      SERVER.address,
      String(RELAY_PORT),
      String(subject.port),
      String(how.delay),
    ],
    async () => (await lab.server.run(['ss', '-Hlun', `sport = :${RELAY_PORT}`])).output.includes(':'),
  );
  try {
    return await fetchTimes(lab, fixture, subject, RELAY_PORT, how);
  } finally {
    await relay.stop();
  }
}

async function fetchTimes(
  lab: Lab,
  fixture: TftpFixture,
  { file }: Subject,
  port: number,
  { window, times, seconds = 120, enough = Infinity }: How,
): Promise<number[]> {
  const rates: number[] = [];
  const began = performance.now();
  while (rates.length < times && (rates.length < 3 || performance.now() - began < enough * 1000))
    rates.push(await rateOf(lab, fixture, file, port, window, seconds));
  return rates;
}

/** One fetch with atftp, which asks for a window when there is to be one, and repeats what is unanswered for a second. */
async function rateOf(
  lab: Lab,
  fixture: TftpFixture,
  file: string,
  port: number,
  window: number,
  bound: number,
): Promise<number> {
  const out = path.join(fixture.scratch, 'fetched');
  const options = [`blksize ${BLKSIZE}`, 'timeout 1', ...(window === 1 ? [] : [`windowsize ${window}`])];
  const command = [
    'atftp',
    ...options.flatMap((option) => ['--option', option]),
    ...['-g', '-r', file, '-l', out, SERVER.address, String(port)],
  ];
  try {
    const { code, seconds } = await lab.client.run(command, bound);
    const isSame = code === 0 && (await readFile(out)).equals(fixture.bytes);
    return isSame ? fixture.bytes.length / MB / seconds : 0;
  } finally {
    await rm(out, { force: true });
  }
}
