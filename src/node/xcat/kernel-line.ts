import type { NodeRecord } from '../../store/records.js';
import type { XcatVariables } from '../../template/variables.js';
import { attributeNamed } from './attributes.js';
import { nodeAttribute } from './node-object.js';

/** What the kernel line of a node is composed of. */
export interface KernelLineFacts {
  readonly node: NodeRecord;
  readonly settings: Readonly<Record<string, string>>; // of the generation: its osimage attributes
  readonly serverUrl: string;
  readonly reports: boolean; // whether the node's reports on xCAT's port are taken
  readonly destiny?: string | undefined;
}

/** The parts of xCAT's kernel lines for one node, as templates use them; a part that does not apply is ''. */
export function xcatVariables({
  node,
  settings,
  serverUrl,
  reports,
  destiny,
}: KernelLineFacts): XcatVariables {
  const url = new URL(serverUrl);
  const own = url.hostname.replace(/^\[|\]$/g, '');
  const master = node.attributes['xcatmaster'] ?? own;
  const words = [node.attributes['addkcmdline'], settings['addkcmdline']]
    .filter((text) => text !== undefined)
    .flatMap((text) => expandMacros(text, node).split(/\s+/))
    .filter((word) => word !== '');
  const console = consoleOf(node);
  const nic = nicOf(node, settings);
  const [mac] = node.macs;
  return {
    master,
    httpport: url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port,
    status: reports || master !== own ? '' : 'nonodestatus',
    network: networkOf(nic, settings['osvers'] ?? node.attributes['os'] ?? ''),
    ip: nic === '' || isMac(nic) ? 'ip=dhcp' : `ip=${nic}:dhcp`,
    console,
    textconsole: console === '' ? '' : `inst.cmdline ${console}`,
    selinux: /^(?:rhels?|ol|alma|rocky)(?:7|8|9|10)(?!\d)/.test(
      settings['osvers'] ?? node.attributes['os'] ?? '',
    )
      ? 'selinux=0'
      : '',
    crashkernel: crashkernelOf(settings, master),
    added: words.filter((word) => !word.startsWith('R::')).join(' '),
    persistent: words
      .filter((word) => word.startsWith('R::'))
      .map((word) => word.slice(3))
      .join(' '),
    bootif: mac === undefined ? '' : `BOOTIF=01-${mac.replaceAll(':', '-')}`,
    destiny: destiny ?? '',
  };
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
