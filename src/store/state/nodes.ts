import { StoreError } from '../errors.js';
import type { GroupRecord, NodeAtMac, NodeRecord, NodeState } from '../records.js';
import type { StateDatabase } from './database.js';
import { AssignmentRows, stateOf } from './assignments.js';
import { groupsOf, ListStatement } from './rows.js';
import type { NodeMacTable, NodeTable, Queries, Row } from './tables.js';

const selectAtMacs = new ListStatement<
  Pick<Row<NodeTable>, 'name' | 'ip' | 'attributes'> & { readonly mac: string; readonly state: string | null }
>(
  ({ texts }) => `
    select node_mac.mac, node.name, node.ip, node.attributes, assignment.state
    from node_mac join node on node.name = node_mac.node left join assignment on assignment.node = node.name
    where node_mac.mac in ${texts}`,
);

/** Nodes and what they are set to, in the database. A UUID or serial that several nodes share finds none of them. */
export class NodeRows extends AssignmentRows implements NodeState {
  constructor(database: StateDatabase) {
    super(database);
  }

  async list(): Promise<NodeRecord[]> {
    return this.database.read(async (db) => {
      const rows = await db.selectFrom('node').selectAll().orderBy('name').execute();
      return withMacs(rows, await db.selectFrom('node_mac').selectAll().orderBy('position').execute());
    });
  }

  async get(name: string): Promise<NodeRecord | undefined> {
    return (await this.getMany([name]))[0];
  }

  async getMany(names: readonly string[]): Promise<NodeRecord[]> {
    return this.database.read((db) => readNodes(db, names));
  }

  async byMac(mac: string): Promise<NodeRecord | undefined> {
    return this.database.read(async (db) => {
      const row = await db.selectFrom('node_mac').select('node').where('mac', '=', mac).executeTakeFirst();
      return row && (await readNodes(db, [row.node]))[0];
    });
  }

  async byIp(ip: string): Promise<NodeRecord | undefined> {
    return this.#only('ip', ip);
  }

  async byUuid(uuid: string): Promise<NodeRecord | undefined> {
    return this.#only('uuid', uuid);
  }

  async bySerial(serial: string): Promise<NodeRecord | undefined> {
    return this.#only('serial', serial);
  }

  async bySwitchPort(port: string): Promise<NodeRecord | undefined> {
    return this.#only('switch_port', port);
  }

  async atMacs(macs: readonly string[]): Promise<readonly NodeAtMac[]> {
    return this.database.read(async (db) => {
      const rows = await selectAtMacs.run(db, this.database.kind, macs);
      return rows.map(({ mac, name, ip, attributes, state }) => ({
        mac,
        name,
        ip,
        attributes: JSON.parse(attributes) as Record<string, string>,
        state: state === null ? null : stateOf(name, state),
      }));
    });
  }

  async put(node: NodeRecord): Promise<void> {
    await this.putAll([node]);
  }

  async putAll(nodes: readonly NodeRecord[], groups: readonly GroupRecord[] = []): Promise<void> {
    await this.database.write(async (trx) => {
      // Taken from all of them first, so that two may swap an address.
      for (const names of groupsOf(nodes.map(({ name }) => name))) {
        await trx.deleteFrom('node_mac').where('node', 'in', names).execute();
        await trx.updateTable('node').set({ ip: null }).where('name', 'in', names).execute();
      }
      await refuseConflicts(trx, nodes);
      for (const node of nodes) await insertNode(trx, node);
      for (const { name, where } of groups) {
        const selections = where === null ? null : JSON.stringify(where);
        await trx
          .insertInto('node_group')
          .values({ name, selections })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ selections }))
          .execute();
      }
    });
  }

  async remove(names: readonly string[]): Promise<void> {
    await this.database.write(async (trx) => {
      for (const group of groupsOf(names)) {
        await trx.deleteFrom('token').where('node', 'in', group).execute();
        await trx.deleteFrom('node').where('name', 'in', group).execute();
      }
    });
  }

  async groups(): Promise<GroupRecord[]> {
    return this.database.read(async (db) => {
      const rows = await db.selectFrom('node_group').selectAll().orderBy('name').execute();
      return rows.map(({ name, selections }) => ({
        name,
        where: selections === null ? null : (JSON.parse(selections) as string[]),
      }));
    });
  }

  async removeGroups(names: readonly string[]): Promise<void> {
    await this.database.write(async (trx) => {
      for (const group of groupsOf(names)) {
        await trx.deleteFrom('node_group').where('name', 'in', group).execute();
      }
    });
  }

  async #only(
    column: 'ip' | 'uuid' | 'serial' | 'switch_port',
    value: string,
  ): Promise<NodeRecord | undefined> {
    return this.database.read(async (db) => {
      const rows = await db.selectFrom('node').select('name').where(column, '=', value).limit(2).execute();
      const [row] = rows;
      return rows.length === 1 && row !== undefined ? (await readNodes(db, [row.name]))[0] : undefined;
    });
  }
}

async function readNodes(db: Queries, names: readonly string[]): Promise<NodeRecord[]> {
  const found: NodeRecord[] = [];
  for (const group of groupsOf([...new Set(names)].sort())) {
    const rows = await db.selectFrom('node').selectAll().where('name', 'in', group).orderBy('name').execute();
    const macs = await db
      .selectFrom('node_mac')
      .selectAll()
      .where('node', 'in', group)
      .orderBy('position')
      .execute();
    found.push(...withMacs(rows, macs));
  }
  return found;
}

function withMacs(rows: readonly Row<NodeTable>[], macs: readonly Row<NodeMacTable>[]): NodeRecord[] {
  const byNode = new Map<string, string[]>();
  for (const { mac, node } of macs) {
    const own = byNode.get(node);
    if (own === undefined) byNode.set(node, [mac]);
    else own.push(mac);
  }
  return rows.map(({ name, ip, uuid, serial, groups, attributes }) => ({
    name,
    macs: byNode.get(name) ?? [],
    ip,
    uuid,
    serial,
    groups: JSON.parse(groups) as string[],
    attributes: JSON.parse(attributes) as Record<string, string>,
  }));
}

async function insertNode(trx: Queries, node: NodeRecord): Promise<void> {
  const { name, ip, uuid, serial } = node;
  const values = {
    ip,
    uuid,
    serial,
    groups: JSON.stringify(node.groups),
    attributes: JSON.stringify(node.attributes),
    switch_port: node.attributes['switchport'] ?? null,
  };
  await trx
    .insertInto('node')
    .values({ name, ...values })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
    .execute();
  const macs = [...new Set(node.macs)].map((mac, position) => ({ mac, node: name, position }));
  if (macs.length > 0) await trx.insertInto('node_mac').values(macs).execute();
}

/** Refuses a MAC or an address that is another node's, in the database or among `nodes`. */
async function refuseConflicts(trx: Queries, nodes: readonly NodeRecord[]): Promise<void> {
  const owners = new Map<string, string>();
  for (const { name, macs, ip } of nodes) {
    for (const what of [...macs.map((mac) => `MAC ${mac}`), ...(ip === null ? [] : [`address ${ip}`])]) {
      const other = owners.get(what);
      if (other !== undefined && other !== name) throw conflict(name, what, other);
      owners.set(what, name);
    }
  }
  for (const group of groupsOf(nodes.flatMap(({ macs }) => macs))) {
    const row = await trx
      .selectFrom('node_mac')
      .select(['mac', 'node'])
      .where('mac', 'in', group)
      .executeTakeFirst();
    if (row !== undefined) throw conflict(owners.get(`MAC ${row.mac}`) ?? '', `MAC ${row.mac}`, row.node);
  }
  for (const group of groupsOf(nodes.flatMap(({ ip }) => ip ?? []))) {
    const row = await trx
      .selectFrom('node')
      .select(['name', 'ip'])
      .where('ip', 'in', group)
      .executeTakeFirst();
    if (row !== undefined) {
      const what = `address ${row.ip ?? ''}`;
      throw conflict(owners.get(what) ?? '', what, row.name);
    }
  }
}

function conflict(node: string, what: string, other: string): StoreError {
  return new StoreError(
    'NODE_CONFLICT',
    `node ${node}: ${what} belongs to node ${other}; change one of the two.`,
  );
}
