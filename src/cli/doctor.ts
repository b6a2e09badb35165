import { readFile } from 'node:fs/promises';
import { Argument, type Command } from 'commander';
import {
  type Check,
  checkBoot,
  checkLoaders,
  checkNodes,
  checkPorts,
  checkPower,
  checkPrograms,
  checkSpace,
} from '../api/doctor.js';
import { checkCertificate } from '../api/doctor-certificate.js';
import { codeOf, messageOf, RackbootError } from '../errors.js';
import { type Capture, readCapture } from '../pxe/dhcp/capture.js';
import { type Diagnosis, diagnose } from '../pxe/dhcp/diagnose.js';
import { PcapError } from '../pxe/dhcp/pcap.js';
import { captureDhcp } from '../pxe/dhcp/live-capture.js';
import { type Context, UsageError } from './context.js';

/** What was looked at is not well; the command printed it. */
class DoctorError extends RackbootError<'UNHEALTHY'> {
  override readonly name = 'DoctorError';
}

interface DoctorOptions {
  readonly interface?: string;
  readonly pcap?: string;
  readonly seconds?: string;
}

/** `doctor`: what is wrong with this machine and site, or with DHCP on a wire, and what mends it. */
export function registerDoctor(program: Command, context: Context): void {
  program
    .command('doctor')
    .description(
      'check programs, ports, rights and the site, and say what mends them; or explain DHCP on a wire',
    )
    .addArgument(
      new Argument(
        '[subject]',
        'dhcp: what each client on a wire saw; without it, this machine and the site',
      ).choices(['dhcp']),
    )
    .option('--interface <name>', 'dhcp: listen there, with tcpdump')
    .option('--seconds <number>', 'dhcp: how long to listen (default: 30)')
    .option('--pcap <file>', 'dhcp: read a capture that tcpdump -w wrote')
    .addHelpText(
      'after',
      `
Nothing is sent to the boot network. Ports are bound for a moment, unless rackboot serve runs and has them.
It exits 1 when something is wrong that keeps rackboot from serving, or a DHCP client from being served.

Examples:
  rackboot doctor
  rackboot doctor dhcp --interface eth1 --seconds 60
  tcpdump -i eth1 -w boot.pcap 'udp port 67 or 68 or 4011' & rackboot doctor dhcp --pcap boot.pcap`,
    )
    .action(async (subject: string | undefined, options: DoctorOptions) => {
      if (subject === undefined) {
        const stray = Object.keys(options)[0];
        if (stray !== undefined) throw new UsageError(`--${stray} is for: rackboot doctor dhcp`);
        await examineSite(context);
      } else {
        await examineDhcp(context, options);
      }
    });
}

async function examineSite(context: Context): Promise<void> {
  const checks = [...(await checkPrograms()), ...(await siteChecks(context))];
  context.print(checks, () => checks.map(lineOf).join('\n'));
  const faults = checks.filter(({ state }) => state === 'fault').length;
  if (faults > 0) throw unhealthy(`${faults} of ${checks.length} checks failed`);
}

async function siteChecks(context: Context): Promise<readonly Check[]> {
  try {
    const { site, store } = await context.openStore();
    const { config } = site;
    const nodes = await store.nodes.list();
    return [
      { what: 'site', state: 'ok', detail: site.dir, mend: null },
      await checkSpace(site.dir),
      ...(await checkPorts(config)),
      ...(await checkCertificate(site, Date.now())),
      ...(await checkBoot(config)),
      ...checkNodes(config, nodes),
      ...(await checkPower(site, nodes)),
      ...(await checkLoaders(config, store, nodes)),
    ];
  } catch (error) {
    const [, detail = messageOf(error), mend = null] = /^(.*?); (.*)$/s.exec(messageOf(error)) ?? [];
    return [{ what: 'site', state: 'fault', detail, mend }];
  }
}

function lineOf({ what, state, detail, mend }: Check): string {
  const head = `${state.padEnd(7)}  ${what.padEnd(18)}  ${detail}`;
  return mend === null ? head : `${head}\n${' '.repeat(29)}→ ${mend}`;
}

async function examineDhcp(context: Context, options: DoctorOptions): Promise<void> {
  const { sightings, malformed } = await captureOf(context, options);
  const diagnoses = diagnose(sightings);
  context.print({ messages: sightings.length, malformed, clients: diagnoses }, () =>
    diagnoses.length === 0 ? nothingSeen(malformed) : diagnoses.map(describe).join('\n\n'),
  );
  const ill = diagnoses.filter(({ findings }) => findings.some(({ mend }) => mend !== null)).length;
  if (ill > 0)
    throw unhealthy(`${ill} of ${diagnoses.length} DHCP clients were not served as they should be`);
}

async function captureOf(context: Context, options: DoctorOptions): Promise<Capture> {
  const { interface: name, pcap, seconds = '30' } = options;
  if ((name === undefined) === (pcap === undefined)) {
    throw new UsageError('doctor dhcp: give --interface NAME to listen there, or --pcap FILE');
  }
  if (pcap !== undefined) return readPcapFile(pcap);
  if (!/^[1-9]\d{0,3}$/.test(seconds))
    throw new UsageError(`--seconds ${seconds}: write a number from 1 to 9999`);
  context.note(`listening on ${name ?? ''} for ${seconds} s; let the machine boot now`);
  return readCapture(await captureDhcp(name ?? '', Number(seconds)));
}

async function readPcapFile(path: string): Promise<Capture> {
  try {
    return readCapture(await readFile(path));
  } catch (cause) {
    if (cause instanceof PcapError) throw new PcapError(cause.code, `${path}: ${cause.message}`, { cause });
    const why =
      codeOf(cause) === 'ENOENT' ? 'no such file' : `cannot be read (${codeOf(cause) ?? 'unknown error'})`;
    throw new PcapError('NOT_CAPTURED', `${path}: ${why}; give a file that tcpdump -w wrote.`, { cause });
  }
}

function nothingSeen(malformed: number): string {
  const words = malformed === 0 ? 'no DHCP message' : `no DHCP message but ${malformed} malformed`;
  return `${words} was seen: the machine did not ask here; look at its boot order, its cable, its VLAN and the relay`;
}

function describe({ mac, client, servers, findings }: Diagnosis): string {
  const answered = servers.length === 0 ? 'answered by nobody' : `answered by ${servers.join(', ')}`;
  const lines = findings.flatMap(({ what, mend }) => [
    `  ${what}`,
    ...(mend === null ? [] : [`    → ${mend}`]),
  ]);
  return [`${mac}  ${client}, ${answered}`, ...lines].join('\n');
}

function unhealthy(words: string): DoctorError {
  return new DoctorError('UNHEALTHY', `${words}; what mends them is said above.`);
}
