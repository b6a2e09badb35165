import type { NodeRecord } from '../../store/records.js';
import { listOf } from '../formats/tables.js';
import { readNode } from '../nodes.js';
import { isSecret, STATE_ATTRIBUTES } from './attributes.js';

/**
 * A node with xCAT's names of attributes, unsorted: `groups`, `ip`, `mac`, `serial` and `uuid` beside its own. Our
 * `switchport` is xCAT's `switch` and `switchport` in one.
 */
export function nodeObject(node: NodeRecord): Map<string, string> {
  const { switchport, ...own } = node.attributes;
  const [, name, port] = /^([^/]+)\/(.+)$/.exec(switchport ?? '') ?? [];
  const ports: [string, string | undefined][] =
    name === undefined || own['switch'] !== undefined
      ? [['switchport', switchport]]
      : [
          ['switch', name],
          ['switchport', port],
        ];
  const all: [string, string | null | undefined][] = [
    ...Object.entries(own),
    ...ports,
    ['groups', node.groups.join(',')],
    ['ip', node.ip],
    ['mac', node.macs.join('|')],
    ['serial', node.serial],
    ['uuid', node.uuid],
  ];
  return new Map(all.flatMap(([key, value]) => (value == null || value === '' ? [] : [[key, value]])));
}

/** The value of one attribute of `node`, '' for none. */
export function nodeAttribute(node: NodeRecord, attribute: string): string {
  switch (attribute) {
    case 'node':
      return node.name;
    case 'groups':
      return node.groups.join(',');
    case 'ip':
      return node.ip ?? '';
    case 'mac':
      return node.macs.join('|');
    case 'serial':
      return node.serial ?? '';
    case 'uuid':
      return node.uuid ?? '';
    default:
      return node.attributes[attribute] ?? '';
  }
}

/** The attributes that every node has a place for beside its free ones. */
export const OWN_ATTRIBUTES: readonly string[] = ['node', 'groups', 'ip', 'mac', 'serial', 'uuid'];

/**
 * `before`, or a new node, with the attributes of an object as xCAT names them; an empty value takes one away, and what
 * the object does not name stays. What xCAT did last (`status`, `currstate` …) and passwords are left out. Throws NodeError.
 */
export function nodeOfObject(
  name: string,
  object: ReadonlyMap<string, string>,
  before: NodeRecord | undefined,
): NodeRecord {
  const merged = new Map(before === undefined ? [] : nodeObject(before));
  for (const [key, value] of object) {
    if (STATE_ATTRIBUTES.has(key) || isSecret(key) || key === 'node') continue;
    if (value === '') merged.delete(key);
    else merged.set(key, value);
  }
  const take = (key: string): string => {
    const value = merged.get(key) ?? '';
    merged.delete(key);
    return value;
  };
  const [groups, ip, mac, serial, uuid] = ['groups', 'ip', 'mac', 'serial', 'uuid'].map(take);
  const [switchName, port] = [merged.get('switch'), merged.get('switchport')];
  if (switchName !== undefined && port !== undefined && !port.startsWith(`${switchName}/`)) {
    merged.delete('switch');
    merged.set('switchport', `${switchName}/${port}`);
  }
  return readNode({
    name,
    macs: macsOf(mac ?? ''),
    ip: ip ?? '',
    serial: serial ?? '',
    uuid: uuid ?? '',
    groups: listOf(groups),
    attributes: Object.fromEntries(merged),
  });
}

/** The addresses of xCAT's `mac|mac!host2|…`; one marked `*NOIP*` is an interface that does not boot. */
function macsOf(text: string): string[] {
  return text
    .split('|')
    .filter((item) => item !== '' && !item.endsWith('!*NOIP*'))
    .map((item) => item.replace(/!.*$/s, ''));
}
