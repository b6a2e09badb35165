import type { NodeRecord } from '../store/records.js';

/** The node as templates see it. What a node does not have is not there: using it is an error, `| default:` mends it. */
export interface NodeVariables {
  readonly name: string;
  readonly ip?: string;
  readonly mac?: string; // of the boot interface, colon-separated
  readonly macs: readonly string[];
  readonly uuid?: string;
  readonly serial?: string;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
}

/** The parts of xCAT's kernel lines for a node; one that does not apply is ''. */
export interface XcatVariables {
  readonly master: string; // the node's attribute xcatmaster, else this server
  readonly httpport: string;
  readonly status: string; // `nonodestatus` where nobody takes the node's reports
  readonly debug: string; // of the node's attribute xcatdebugmode
  readonly network: string; // `netdev=eth0`
  readonly ip: string; // `ip=dhcp`
  readonly console: string; // `console=tty0 console=ttyS0,115200`
  readonly textconsole: string; // the same with `inst.cmdline`
  readonly installdebug: string;
  readonly selinux: string;
  readonly crashkernel: string;
  readonly added: string; // addkcmdline of the node, then of the osimage
  readonly persistent: string; // what is marked `R::` there: for the installed system only
  readonly bootif: string; // `BOOTIF=01-52-54-00-12-34-56`
  readonly destiny: string; // what genesis is booted for
  readonly line: string; // the whole line, where xCAT composed it; node/xcat/handed-line.ts
}

/** What boot arguments and answer files may use, as Liquid variables. */
export interface BootVariables {
  readonly node: NodeVariables;
  readonly server: {
    readonly url: string; // how nodes reach HTTP, no final slash
    readonly address: string; // its host: an address or a name
  };
  readonly site: string;
  readonly osimage: string;
  readonly generation: string; // full id
  readonly entry: string; // label of the boot entry
  readonly files: string; // URL of the generation's boot files, no final slash
  readonly tree: string; // URL of the generation's install tree, no final slash
  readonly answerfile: string; // URL of the node's answer file, with its one-time token when it was given one
  readonly settings: Readonly<Record<string, string>>; // of the build: --set key=value
  readonly xcat: XcatVariables;
  readonly report: string; // URL for reports, with its run token; append ?stage=… or, as it may have a query, &stage=…
}

/** The variables of an ISO that is made for no node in particular: what only a node has is not there. */
export type EntryVariables = Omit<BootVariables, 'node' | 'answerfile' | 'report' | 'xcat'> &
  Partial<Pick<BootVariables, 'node' | 'answerfile' | 'report' | 'xcat'>>;

/** `node` as template variables. */
export function nodeVariables(node: NodeRecord): NodeVariables {
  const [mac] = node.macs;
  return {
    name: node.name,
    ...(node.ip === null ? {} : { ip: node.ip }),
    ...(mac === undefined ? {} : { mac }),
    macs: node.macs,
    ...(node.uuid === null ? {} : { uuid: node.uuid }),
    ...(node.serial === null ? {} : { serial: node.serial }),
    groups: node.groups,
    attributes: node.attributes,
  };
}

/** Variables of a node that has everything, to try a template when an image is built. */
export function sampleVariables(attributes: Readonly<Record<string, string>> = {}): BootVariables {
  const generation = '0'.repeat(64);
  const url = 'http://192.0.2.1:8080';
  return {
    node: {
      name: 'n1',
      ip: '192.0.2.11',
      mac: '52:54:00:12:34:56',
      macs: ['52:54:00:12:34:56'],
      uuid: '4c4c4544-0042-3510-8054-b4c04f4d3132',
      serial: 'SN1',
      groups: ['rack1'],
      attributes,
    },
    server: { url, address: '192.0.2.1' },
    site: 'rackboot',
    osimage: 'sample',
    generation,
    entry: 'install',
    settings: {},
    xcat: {
      master: '192.0.2.1',
      httpport: '8080',
      status: '',
      debug: '',
      network: 'netdev=eth0',
      ip: 'ip=dhcp',
      console: 'console=tty0 console=ttyS0,115200',
      textconsole: 'inst.cmdline console=tty0 console=ttyS0,115200',
      installdebug: '',
      selinux: 'selinux=0',
      crashkernel: '',
      added: '',
      persistent: '',
      bootif: 'BOOTIF=01-52-54-00-12-34-56',
      destiny: '',
      line: '',
    },
    files: `${url}/images/sample@${generation}/files`,
    tree: `${url}/images/sample@${generation}/tree`,
    answerfile: `${url}/nodes/n1/answerfile?token=sample`,
    report: `${url}/nodes/n1/report?run=sample`,
  };
}
