import { isIP } from 'node:net';
import type { NodeRecord } from '../../store/records.js';
import { PowerError } from './errors.js';
import type { Firmware } from './verb.js';

/** Where a BMC, or sshd, answers. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** How a node is controlled, as its attributes say. */
export type ControlSettings =
  | { readonly kind: 'ipmi'; readonly at: Endpoint }
  | {
      readonly kind: 'redfish';
      readonly at: Endpoint;
      readonly fingerprint: string | undefined; // SHA-256 of the certificate, upper case, pairs with colons
      readonly system: string | undefined; // the Id of its system, where the BMC has several
    }
  | { readonly kind: 'ssh'; readonly at: Endpoint; readonly user: string | undefined };

const PORTS = { ipmi: 623, redfish: 443, ssh: 22 } as const;

/** xCAT's names of what controls machines; openbmc speaks Redfish. */
const KINDS: Readonly<Record<string, keyof typeof PORTS>> = {
  ipmi: 'ipmi',
  redfish: 'redfish',
  openbmc: 'redfish',
  ssh: 'ssh',
};

/** How `node` is controlled: by its attribute `power`, else `mgt` (xCAT's nodehm). Throws PowerError NO_CONTROL. */
export function controlSettings(node: NodeRecord): ControlSettings {
  const { power, mgt, bmc = '' } = node.attributes;
  const method = power ?? mgt;
  const set = `rackboot node set ${node.name} --attr`;
  if (method === undefined) {
    throw new PowerError(
      'NO_CONTROL',
      `nothing says how it is switched; set it with: ${set} mgt=ipmi (or redfish, ssh)`,
    );
  }
  const kind = Object.hasOwn(KINDS, method) ? KINDS[method] : undefined;
  if (kind === undefined) {
    throw new PowerError(
      'NO_CONTROL',
      `its attribute ${power === undefined ? 'mgt' : 'power'} is '${method.slice(0, 40)}', which rackboot cannot control; set it with: ${set} power=ipmi (or redfish, ssh)`,
    );
  }
  if (kind === 'ssh') {
    const host = node.ip ?? node.name;
    return { kind, at: { host, port: portOf(node, 'sshport', kind) }, user: node.attributes['sshuser'] };
  }
  const [host = ''] = bmc.split(/[\s,]+/).filter((text) => text !== '');
  if (host === '')
    throw new PowerError('NO_CONTROL', `no BMC of it is known; set it with: ${set} bmc=ADDRESS`);
  if (isIP(host) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host)) {
    throw new PowerError(
      'NO_CONTROL',
      `its attribute bmc is no address or host name; set it with: ${set} bmc=ADDRESS`,
    );
  }
  const at = { host, port: portOf(node, 'bmcserviceport', kind) };
  if (kind === 'ipmi') return { kind, at };
  return { kind, at, fingerprint: fingerprintOf(node), system: node.attributes['bmcsystem'] };
}

function portOf(node: NodeRecord, attribute: string, kind: keyof typeof PORTS): number {
  const text = node.attributes[attribute];
  if (text === undefined) return PORTS[kind];
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new PowerError(
    'NO_CONTROL',
    `its attribute ${attribute} is no port; set it with: rackboot node set ${node.name} --attr ${attribute}=${PORTS[kind]}`,
  );
}

function fingerprintOf(node: NodeRecord): string | undefined {
  const text = node.attributes['bmcfingerprint'];
  if (text === undefined) return undefined;
  const digits = text
    .replace(/^sha256:/i, '')
    .replaceAll(':', '')
    .toUpperCase();
  if (/^[0-9A-F]{64}$/.test(digits)) return (digits.match(/../g) ?? []).join(':');
  throw new PowerError(
    'NO_CONTROL',
    'its attribute bmcfingerprint is no SHA-256 of a certificate; see: openssl x509 -noout -fingerprint -sha256',
  );
}

/** How the firmware of `node` boots, as its attribute `firmware` says; undefined where it says nothing. */
export function firmwareOf(node: NodeRecord): Firmware | undefined {
  const { firmware } = node.attributes;
  if (firmware === undefined || firmware === 'bios' || firmware === 'uefi') return firmware;
  throw new PowerError(
    'NO_CONTROL',
    `its attribute firmware is neither bios nor uefi; set it with: rackboot node set ${node.name} --attr firmware=uefi`,
  );
}

/** An endpoint as a message shows it. */
export function shownEndpoint({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
