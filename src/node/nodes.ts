import { isIPv4 } from 'node:net';
import type { NodeRecord } from '../store/records.js';
import { NodeError } from './errors.js';

/** A node as someone wrote it down. */
export interface NodeInput {
  readonly name: string;
  readonly macs?: readonly string[];
  readonly ip?: string | null;
  readonly uuid?: string | null;
  readonly serial?: string | null;
  readonly groups?: readonly string[];
  readonly attributes?: Readonly<Record<string, string>>;
}

/** `input` checked and in the one notation the database holds. Throws NodeError naming what is wrong and the mend. */
export function parseNode(input: NodeInput): NodeRecord {
  const node = readNode(input);
  if (isKnowable(node)) return node;
  throw new NodeError(
    'BAD_MAC',
    `node ${node.name}: nothing to know it by; give its boot interface with --mac 52:54:00:12:34:56 (or --uuid, --serial)`,
  );
}

/** Whether a machine could show that it is `node`: imports also define nodes of which that is not known yet. */
export function isKnowable({ macs, uuid, serial }: NodeRecord): boolean {
  return macs.length > 0 || uuid !== null || serial !== null;
}

/** As parseNode, for a node that may lack what it would be known by. */
export function readNode(input: NodeInput): NodeRecord {
  return {
    name: parseName(input.name),
    macs: [...new Set((input.macs ?? []).map(parseMac))],
    ip: input.ip == null || input.ip === '' ? null : parseAddress(input.ip),
    uuid: input.uuid == null || input.uuid === '' ? null : parseUuid(input.uuid),
    serial: input.serial == null || input.serial === '' ? null : parseSerial(input.serial),
    groups: [...new Set((input.groups ?? []).map(parseGroup))].sort(),
    attributes: parseAttributes(input.attributes ?? {}),
  };
}

/** A host name as RFC 1123 §2.1 has it, in lower case: it becomes part of URLs and of the node's own name. */
export function parseName(text: string): string {
  const name = text.toLowerCase();
  const labels = name.split('.');
  const valid = labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
  if (!valid || name.length > 253) {
    throw new NodeError(
      'BAD_NAME',
      `node name '${oneLine(text)}': use letters, digits and inner dashes, at most 63 between dots (RFC 1123), such as rack1-n04`,
    );
  }
  return name;
}

/** A unicast Ethernet address in any usual notation, as lower-case pairs with colons. */
export function parseMac(text: string): string {
  const notation =
    /^(?:[0-9a-f]{2}(:[0-9a-f]{2}){5}|[0-9a-f]{2}(-[0-9a-f]{2}){5}|[0-9a-f]{4}(\.[0-9a-f]{4}){2}|[0-9a-f]{12})$/i;
  const digits = text.toLowerCase().replace(/[^0-9a-f]/g, '');
  if (!notation.test(text)) {
    throw new NodeError(
      'BAD_MAC',
      `MAC '${oneLine(text)}': write twelve hexadecimal digits, such as 52:54:00:12:34:56`,
    );
  }
  const isGroup = (Number.parseInt(digits.slice(0, 2), 16) & 1) === 1;
  if (isGroup || digits === '000000000000') {
    throw new NodeError(
      'BAD_MAC',
      `MAC '${text}': not the address of one interface; read it off the machine's network card`,
    );
  }
  return (digits.match(/../g) ?? []).join(':');
}

/** An IPv4 address that a host can have. */
export function parseAddress(text: string): string {
  const first = Number(text.split('.')[0]);
  if (!isIPv4(text) || first === 0 || first >= 224) {
    throw new NodeError(
      'BAD_ADDRESS',
      `address '${oneLine(text)}': write one host's IPv4 address, such as 10.77.0.21`,
    );
  }
  return text;
}

/** An SMBIOS UUID, lower case with dashes; all zeros and all ones mean that the firmware has none. */
export function parseUuid(text: string): string {
  const uuid = text.toLowerCase();
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid) || /^[0-]+$|^[f-]+$/.test(uuid)) {
    throw new NodeError(
      'BAD_UUID',
      `UUID '${oneLine(text)}': write it as dmidecode -s system-uuid prints it, such as 4c4c4544-0042-3510-8054-b4c04f4d3132`,
    );
  }
  return uuid;
}

function parseSerial(text: string): string {
  if (!/^[\x21-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?$/.test(text)) {
    throw new NodeError(
      'BAD_SERIAL',
      `serial number '${oneLine(text)}': use at most 64 printable ASCII characters`,
    );
  }
  return text;
}

/** The name of a group, which a noderange must not take for a number. Throws NodeError BAD_GROUP. */
export function parseGroup(text: string): string {
  if (!/^(?!\d+$)[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(text)) {
    throw new NodeError(
      'BAD_GROUP',
      `group '${oneLine(text)}': use letters, digits, '_' and inner '.' and '-', and not digits alone, such as rack1`,
    );
  }
  return text;
}

function parseAttributes(attributes: Readonly<Record<string, string>>): Record<string, string> {
  for (const [key, value] of Object.entries(attributes)) {
    if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/.test(key)) {
      throw new NodeError(
        'BAD_ATTRIBUTE',
        `attribute '${oneLine(key)}': use letters, digits, '_', '.' and '-', such as console; templates read it as node.attributes.console`,
      );
    }
    if (key === 'bmcpassword') {
      throw new NodeError(
        'BAD_ATTRIBUTE',
        'attribute bmcpassword: the database holds no passwords; write it into the file that power.credentials in rackboot.yaml names',
      );
    }
    if (value.length > 4096 || value.includes('\0')) {
      throw new NodeError(
        'BAD_ATTRIBUTE',
        `attribute '${key}': at most 4096 characters and no NUL; keep longer texts in a layer`,
      );
    }
  }
  return { ...attributes };
}

function oneLine(text: string): string {
  return text.slice(0, 80).replace(/[\x00-\x1f\x7f]/g, '?');
}
