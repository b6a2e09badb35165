import { inNetwork, takesXcatReports, type SiteConfig } from '../../site/config.js';
import type { AssignmentRecord, NodeRecord } from '../../store/records.js';
import type { XcatVariables } from '../../template/variables.js';
import { attributeNamed } from './attributes.js';
import { nodeAttribute } from './node-object.js';

/** What the kernel line of a node is composed of. */
export interface KernelLineFacts {
  readonly node: NodeRecord;
  readonly settings: Readonly<Record<string, string>>; // of the generation: its osimage attributes
  readonly serverUrl: string;
  readonly config: Pick<SiteConfig, 'xcat' | 'dhcp'>;
  readonly assignment?: Pick<AssignmentRecord, 'destiny' | 'line'> | undefined;
}

/** The parts of xCAT's kernel lines for one node, as templates use them; a part that does not apply is ''. */
export function xcatVariables(facts: KernelLineFacts): XcatVariables {
  const { node, settings, serverUrl, config, assignment } = facts;
  const url = new URL(serverUrl);
  const own = url.hostname.replace(/^\[|\]$/g, '');
  const master = node.attributes['xcatmaster'] ?? own;
  const os = settings['osvers'] ?? node.attributes['os'] ?? '';
  const words = addedWords(facts);
  const console = consoleOf(node);
  const nic = nicOf(node, settings);
  const [mac] = node.macs;
  return {
    master,
    httpport: url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port,
    status: takesXcatReports(config) || master !== own ? '' : 'nonodestatus',
    debug: debugOf(node, master),
    network: networkOf(nic, os),
    ip: addressOf(node, nic, config),
    console,
    textconsole: console === '' ? '' : `inst.cmdline ${console}`,
    installdebug: installDebugOf(node, master),
    selinux: /^(?:rhels?|ol|alma|rocky)(?:7|8|9|10)(?!\d)/.test(os) ? 'selinux=0' : '',
    crashkernel: crashkernelOf(settings, master),
    added: words.filter((word) => !word.startsWith('R::')).join(' '),
    persistent: words.flatMap((word) => (word.startsWith('R::') ? [word.slice(3)] : [])).join(' '),
    bootif: mac === undefined ? '' : `BOOTIF=01-${mac.replaceAll(':', '-')}`,
    destiny: assignment?.destiny ?? '',
    line: assignment?.line ?? '',
  };
}

/** The words of addkcmdline, the node's before the osimage's. */
function addedWords({ node, settings }: KernelLineFacts): string[] {
  return [node.attributes['addkcmdline'], settings['addkcmdline']]
    .flatMap((text) => (text === undefined ? [] : expandMacros(text, node).split(/\s+/)))
    .filter((word) => word !== '');
}

/** xCAT's `#NODEATTRIB:table:column#` and `#TABLE:table:$NODE:column#` in added arguments. */
function expandMacros(text: string, node: NodeRecord): string {
  return text.replace(
    /#(?:NODEATTRIB:(\w+):(\w+)|TABLE:(\w+):\$NODE:(\w+))#/g,
    (_all, table?: string, column?: string, otherTable?: string, otherColumn?: string) =>
      nodeAttribute(node, attributeNamed(`${table ?? otherTable ?? ''}.${column ?? otherColumn ?? ''}`)),
  );
}

/** `console=` of the node's serial port; both consoles, so that a screen shows the boot as well. */
function consoleOf({ attributes }: NodeRecord): string {
  const { serialport, serialspeed, serialflow } = attributes;
  if (serialport === undefined) return '';
  const port = /^\d+$/.test(serialport) ? `ttyS${serialport}` : serialport;
  const flow = /^(?:hard|ctsrts)$/.test(serialflow ?? '') ? 'n8r' : '';
  const speed = serialspeed === undefined ? '' : `,${serialspeed}${flow}`;
  return `console=tty0 console=${port}${speed}`;
}

/** The interface the node boots over: a name or a MAC address; '' for whichever has the node's own. */
function nicOf({ attributes }: NodeRecord, settings: Readonly<Record<string, string>>): string {
  const nic = attributes['installnic'] ?? attributes['primarynic'] ?? settings['nodebootif'] ?? '';
  return nic === 'mac' ? '' : nic;
}

function networkOf(nic: string, os: string): string {
  const dhcp = /^sle/.test(os) ? ['ip=dhcp'] : [];
  const device = nic === '' ? [] : [isMac(nic) ? `BOOTIF=${nic}` : `netdev=${nic}`];
  return [...dhcp, ...device].join(' ');
}

function isMac(text: string): boolean {
  return /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text);
}

function crashkernelOf(settings: Readonly<Record<string, string>>, master: string): string {
  const { dump, crashkernelsize = '256M' } = settings;
  if (dump === undefined) return '';
  return `crashkernel=${crashkernelsize} dump=${dump.replace(/^nfs:\/\/\//, `nfs://${master}/`)}`;
}

/** xCAT's site.xcatdebugmode, as an attribute of the node: 1 or 2. */
function debugLevel({ attributes }: NodeRecord): string {
  const level = attributes['xcatdebugmode'] ?? '';
  return /^[12]$/.test(level) ? level : '';
}

function debugOf(node: NodeRecord, master: string): string {
  const level = debugLevel(node);
  if (level === '') return '';
  return `LOGSERVER=${master} syslog.server=${master} syslog.type=rsyslogd syslog.filter=*.* xcatdebugmode=${level}`;
}

function installDebugOf(node: NodeRecord, master: string): string {
  const level = debugLevel(node);
  if (level === '') return '';
  return `inst.loglevel=debug inst.syslog=${master}${level === '2' ? ' inst.sshd' : ''}`;
}

/**
 * How Anaconda gets its address: by DHCP; or the node's own where its attribute managedaddressmode (xCAT's site has it) is
 * static and dhcp.subnets tells of its network.
 */
function addressOf(node: NodeRecord, nic: string, { dhcp }: Pick<SiteConfig, 'dhcp'>): string {
  const device = isMac(nic) ? '' : nic;
  const byDhcp = device === '' ? 'ip=dhcp' : `ip=${device}:dhcp`;
  const { ip, name, macs, attributes } = node;
  if (attributes['managedaddressmode'] !== 'static' || ip === null) return byDhcp;
  const subnet = dhcp.subnets.find(({ network }) => inNetwork(network, ip));
  if (subnet === undefined) return byDhcp;
  const [gateway = ''] = subnet.routers;
  const [mac = ''] = macs;
  return [
    `ip=${ip}::${gateway}:${maskOf(subnet.network)}:${name}:${device}:none::${mac}`,
    ...subnet.nameServers.map((server) => `nameserver=${server}`),
  ].join(' ');
}

/** The netmask of a network in CIDR form. */
function maskOf(network: string): string {
  const bits = Number(network.split('/')[1]);
  const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join('.');
}
