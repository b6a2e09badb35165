import type { NodeRecord, NodeState, Store } from '../store/records.js';

/**
 * The store as the boot servers read it: a node without a reservation has the address that DHCP gave it out of a pool,
 * while its lease lasts. Nothing may be put back through it.
 */
export function withLeasedAddresses(store: Store, now: () => number): Store {
  const { addresses, nodes } = store;
  const withLease = async (node: NodeRecord): Promise<NodeRecord> => {
    if (node.ip !== null) return node;
    const lease = await addresses.ofNode(node.name, now());
    return lease === undefined ? node : { ...node, ip: lease.address };
  };
  const found = async (looked: Promise<NodeRecord | undefined>): Promise<NodeRecord | undefined> => {
    const node = await looked;
    return node && withLease(node);
  };
  const all = async (looked: Promise<NodeRecord[]>): Promise<NodeRecord[]> => {
    const records = await looked;
    if (records.every(({ ip }) => ip !== null)) return records;
    const bound = (await addresses.ofNodes(now())).filter(({ state }) => state === 'bound');
    const byNode = new Map(bound.map(({ node, address }) => [node, address]));
    return records.map((node) => ({ ...node, ip: node.ip ?? byNode.get(node.name) ?? null }));
  };
  const leased: Partial<NodeState> = {
    list: () => all(nodes.list()),
    get: (name) => found(nodes.get(name)),
    getMany: (names) => all(nodes.getMany(names)),
    byMac: (mac) => found(nodes.byMac(mac)),
    byUuid: (uuid) => found(nodes.byUuid(uuid)),
    bySerial: (serial) => found(nodes.bySerial(serial)),
    bySwitchPort: (port) => found(nodes.bySwitchPort(port)),
    async byIp(ip) {
      const reserved = await nodes.byIp(ip);
      if (reserved !== undefined) return reserved;
      const lease = await addresses.at(ip, now());
      return lease && found(nodes.get(lease.node));
    },
  };
  return overlaid(store, { nodes: overlaid(nodes, leased) });
}

/** `object` with `changes` in front; its other methods still run on itself. */
function overlaid<T extends object>(object: T, changes: Partial<T>): T {
  return new Proxy(object, {
    get(target, key) {
      if (Object.hasOwn(changes, key)) return Reflect.get(changes, key) as unknown;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
