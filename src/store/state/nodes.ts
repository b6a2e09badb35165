import { StoreError } from '../errors.js';
import type { NodeRecord, NodeState } from '../records.js';
import type { StateDatabase } from './database.js';
import { AssignmentRows } from './assignments.js';
import { groupsOf } from './rows.js';
import type { NodeMacTable, NodeTable, Queries, Row } from './tables.js';

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

  async put(node: NodeRecord): Promise<void> {
    await this.database.write(async (trx) => {
      await refuseConflict(trx, node);
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
      await trx.deleteFrom('node_mac').where('node', '=', name).execute();
      const macs = [...new Set(node.macs)].map((mac, position) => ({ mac, node: name, position }));
      if (macs.length > 0) await trx.insertInto('node_mac').values(macs).execute();
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

async function refuseConflict(trx: Queries, node: NodeRecord): Promise<void> {
  if (node.macs.length > 0) {
    const other = await trx
      .selectFrom('node_mac')
      .select(['mac', 'node'])
      .where('mac', 'in', node.macs)
      .where('node', '!=', node.name)
      .executeTakeFirst();
    if (other !== undefined) throw conflict(node.name, `MAC ${other.mac}`, other.node);
  }
  if (node.ip !== null) {
    const other = await trx
      .selectFrom('node')
      .select('name')
      .where('ip', '=', node.ip)
      .where('name', '!=', node.name)
      .executeTakeFirst();
    if (other !== undefined) throw conflict(node.name, `address ${node.ip}`, other.name);
  }
}

function conflict(node: string, what: string, other: string): StoreError {
  return new StoreError(
    'NODE_CONFLICT',
    `node ${node}: ${what} belongs to node ${other}; change one of the two.`,
  );
}
