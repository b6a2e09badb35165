import { randomBytes } from 'node:crypto';
import { sql, type ColumnDataType, type Kysely, type Migration, type RawBuilder } from 'kysely';

/** The two databases that state can be kept in. */
export type DatabaseKind = 'sqlite' | 'postgres';

type ColumnType = ColumnDataType | RawBuilder<unknown>;

/** Column types that mean the same in both databases: text sorts by its bytes, whatever the database's locale. */
function typesOf(kind: DatabaseKind): { readonly text: ColumnType; readonly bytes: ColumnType } {
  return kind === 'sqlite'
    ? { text: 'text', bytes: 'blob' }
    : { text: sql`text collate "C"`, bytes: 'bytea' };
}

/** Every migration, by name, in the order of their names. One that was released is never changed. */
export function migrationsFor(kind: DatabaseKind): Record<string, Migration> {
  return {
    '0001-first': { up: (db: Kysely<unknown>) => createFirst(db, kind) },
    '0002-store-identity': { up: (db: Kysely<unknown>) => createStoreIdentity(db, kind) },
    '0003-dhcp': { up: (db: Kysely<unknown>) => createDhcp(db, kind) },
    '0004-groups-and-chains': { up: (db: Kysely<unknown>) => createGroupsAndChains(db, kind) },
    '0005-kernel-lines': { up: (db: Kysely<unknown>) => addKernelLines(db, kind) },
  };
}

async function createFirst(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  const { text, bytes } = typesOf(kind);
  await createOsimages(db, text, bytes);
  await createNodes(db, text, bytes);
  await createEvents(db, kind, text);
  await createBlobs(db, kind, text, bytes);
}

async function createStoreIdentity(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  const { text } = typesOf(kind);
  await db.schema
    .createTable('store_identity')
    .addColumn('id', text, (column) => column.primaryKey())
    .execute();
  await sql`insert into store_identity (id) values (${randomBytes(16).toString('hex')})`.execute(db);
}

async function createDhcp(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  const { text } = typesOf(kind);
  await db.schema
    .createTable('dhcp_address')
    .addColumn('address', 'bigint', (column) => column.primaryKey())
    .addColumn('mac', text, (column) => column.notNull())
    .addColumn('node', text, (column) => column.notNull())
    .addColumn('state', text, (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute();
  for (const column of ['mac', 'node', 'expires_at']) {
    await db.schema.createIndex(`dhcp_address_${column}`).on('dhcp_address').column(column).execute();
  }
  await db.schema
    .createTable('stranger')
    .addColumn('mac', text, (column) => column.primaryKey())
    .addColumn('client', text, (column) => column.notNull())
    .addColumn('uuid', text)
    .addColumn('port', text)
    .addColumn('first_seen', 'bigint', (column) => column.notNull())
    .addColumn('last_seen', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('stranger_last_seen').on('stranger').column('last_seen').execute();
  await db.schema.alterTable('node').addColumn('switch_port', text).execute();
  await db.schema.createIndex('node_switch_port').on('node').column('switch_port').execute();
}

async function createGroupsAndChains(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  const { text } = typesOf(kind);
  await db.schema
    .createTable('node_group')
    .addColumn('name', text, (column) => column.primaryKey())
    .addColumn('selections', text)
    .execute();
  for (const column of ['destiny', 'chain']) {
    await db.schema.alterTable('assignment').addColumn(column, text).execute();
  }
}

async function addKernelLines(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  await db.schema.alterTable('assignment').addColumn('line', typesOf(kind).text).execute();
}

async function createOsimages(db: Kysely<unknown>, text: ColumnType, bytes: ColumnType): Promise<void> {
  await db.schema
    .createTable('osimage')
    .addColumn('name', text, (column) => column.primaryKey())
    .addColumn('family', text, (column) => column.notNull())
    .addColumn('current', text, (column) => column.notNull())
    .addColumn('last_number', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('reference_list')
    .addColumn('digest', bytes, (column) => column.primaryKey())
    .addColumn('digests', bytes, (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('generation')
    .addColumn('osimage', text, (column) => column.notNull().references('osimage.name').onDelete('cascade'))
    .addColumn('id', text, (column) => column.notNull())
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('parent', text)
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('note', text, (column) => column.notNull())
    .addColumn('manifest', text, (column) => column.notNull())
    .addColumn('refs', bytes, (column) => column.notNull().references('reference_list.digest'))
    .addPrimaryKeyConstraint('generation_pk', ['osimage', 'id'])
    .addUniqueConstraint('generation_number', ['osimage', 'number'])
    .execute();
  await db.schema.createIndex('generation_refs').on('generation').column('refs').execute();
}

async function createNodes(db: Kysely<unknown>, text: ColumnType, bytes: ColumnType): Promise<void> {
  await db.schema
    .createTable('node')
    .addColumn('name', text, (column) => column.primaryKey())
    .addColumn('ip', text, (column) => column.unique())
    .addColumn('uuid', text)
    .addColumn('serial', text)
    .addColumn('groups', text, (column) => column.notNull())
    .addColumn('attributes', text, (column) => column.notNull())
    .execute();
  await db.schema.createIndex('node_uuid').on('node').column('uuid').execute();
  await db.schema.createIndex('node_serial').on('node').column('serial').execute();
  await db.schema
    .createTable('node_mac')
    .addColumn('mac', text, (column) => column.primaryKey())
    .addColumn('node', text, (column) => column.notNull().references('node.name').onDelete('cascade'))
    .addColumn('position', 'integer', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('node_mac_node').on('node_mac').column('node').execute();
  await db.schema
    .createTable('assignment')
    .addColumn('node', text, (column) => column.primaryKey().references('node.name').onDelete('cascade'))
    .addColumn('state', text, (column) => column.notNull())
    .addColumn('osimage', text)
    .addColumn('generation', text)
    .addColumn('entry', text)
    .addColumn('since', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('token')
    .addColumn('hash', bytes, (column) => column.primaryKey())
    .addColumn('node', text, (column) => column.notNull())
    .addColumn('generation', text, (column) => column.notNull())
    .addColumn('client', text, (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('used_at', 'bigint')
    .execute();
  await db.schema.createIndex('token_node').on('token').column('node').execute();
}

async function createEvents(db: Kysely<unknown>, kind: DatabaseKind, text: ColumnType): Promise<void> {
  await db.schema
    .createTable('event')
    .addColumn('id', kind === 'sqlite' ? 'integer' : 'bigserial', (column) =>
      kind === 'sqlite' ? column.primaryKey().autoIncrement() : column.primaryKey(),
    )
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('node', text)
    .addColumn('stage', text, (column) => column.notNull())
    .addColumn('detail', text, (column) => column.notNull())
    .addColumn('bytes', 'bigint')
    .addColumn('ms', 'double precision')
    .addColumn('generation', text)
    .addColumn('client', text)
    .execute();
  await db.schema.createIndex('event_node').on('event').columns(['node', 'id']).execute();
}

async function createBlobs(
  db: Kysely<unknown>,
  kind: DatabaseKind,
  text: ColumnType,
  bytes: ColumnType,
): Promise<void> {
  await db.schema
    .createTable('lease')
    .addColumn('id', text, (column) => column.primaryKey())
    .addColumn('kind', text, (column) => column.notNull())
    .addColumn('holder', text, (column) => column.notNull())
    .addColumn('host', text)
    .addColumn('pid', 'bigint')
    .addColumn('started', text)
    .addColumn('osimage', text)
    .addColumn('generation', text)
    .addColumn('refs', bytes, (column) => column.references('reference_list.digest'))
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('lease_refs').on('lease').column('refs').execute();
  await db.schema
    .createTable('lease_blob')
    .addColumn('lease', text, (column) => column.notNull().references('lease.id').onDelete('cascade'))
    .addColumn('blob', bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint('lease_blob_pk', ['lease', 'blob'])
    .execute();
  await db.schema
    .createTable('pack')
    .addColumn('id', kind === 'sqlite' ? 'integer' : 'serial', (column) => column.primaryKey())
    .addColumn('name', text, (column) => column.notNull().unique())
    .addColumn('state', text, (column) => column.notNull())
    .addColumn('lease', text)
    .addColumn('size', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('blob')
    .addColumn('digest', bytes, (column) => column.primaryKey())
    .addColumn('pack', 'integer', (column) => column.notNull().references('pack.id'))
    .addColumn('offset', 'bigint', (column) => column.notNull())
    .addColumn('size', 'bigint', (column) => column.notNull())
    .$call((table) => (kind === 'sqlite' ? table.modifyEnd(sql`without rowid`) : table))
    .execute();
  await db.schema.createIndex('blob_pack').on('blob').columns(['pack', 'offset']).execute();
}
