import { LOADER_ATTRIBUTE } from '../node/loader-check.js';
import type { DhcpDirectory, DhcpQuery, KnownNode } from '../pxe/dhcp/facts.js';
import type { NodeAtMac, NodeRecord, NodeState } from '../store/records.js';

/**
 * The node database as DHCP asks it: reservations alone, by MAC address, then by UUID, then by switch port. `serverUrl` is
 * how nodes reach HTTP, without a final slash.
 */
export function dhcpDirectory(nodes: NodeState, serverUrl: () => string): DhcpDirectory {
  const known = ({ name, ip, state, attributes }: Omit<NodeAtMac, 'mac'>): KnownNode => {
    const intent =
      state === null
        ? { kind: 'unknown' as const }
        : state === 'offline'
          ? { kind: 'offline' as const }
          : { kind: state, scriptUrl: `${serverUrl()}/nodes/${name}/boot.ipxe` };
    const loader = attributes[LOADER_ATTRIBUTE];
    return { name, ip, intent, ...(loader === undefined ? {} : { loader }) };
  };
  const other = async (query: DhcpQuery): Promise<KnownNode | undefined> => {
    const node = await otherwise(nodes, query);
    if (node === undefined) return undefined;
    const assignment = await nodes.assignment(node.name);
    return { ...known({ ...node, state: assignment?.state ?? null }), isByMac: false };
  };
  return {
    async find(queries) {
      const macs = [...new Set(queries.map(({ mac }) => mac))];
      const byMac = new Map((await nodes.atMacs(macs)).map((node) => [node.mac, known(node)]));
      const found: (KnownNode | undefined)[] = [];
      for (const query of queries) {
        const node = byMac.get(query.mac);
        found.push(node ?? (await other(query)));
      }
      return found;
    },
  };
}

async function otherwise(nodes: NodeState, { uuid, port }: DhcpQuery): Promise<NodeRecord | undefined> {
  return (
    (uuid === undefined ? undefined : await nodes.byUuid(uuid)) ??
    (port === undefined ? undefined : await nodes.bySwitchPort(port))
  );
}
