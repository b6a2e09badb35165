import type { Generated, Kysely, Selectable, Transaction } from 'kysely';

/** The database as kysely sees it. Digests are 32 bytes; times are milliseconds since the epoch; sizes are bytes. */
export interface Tables {
  readonly store_identity: StoreIdentityTable;
  readonly osimage: OsimageTable;
  readonly generation: GenerationTable;
  readonly reference_list: ReferenceListTable;
  readonly node: NodeTable;
  readonly node_mac: NodeMacTable;
  readonly node_group: NodeGroupTable;
  readonly assignment: AssignmentTable;
  readonly event: EventTable;
  readonly token: TokenTable;
  readonly dhcp_address: DhcpAddressTable;
  readonly stranger: StrangerTable;
  readonly pack: PackTable;
  readonly blob: BlobTable;
  readonly lease: LeaseTable;
  readonly lease_blob: LeaseBlobTable;
}

/** One row: the id that the store directory of this database carries too. */
export interface StoreIdentityTable {
  id: string;
}

export interface OsimageTable {
  name: string;
  family: string;
  current: string;
  last_number: number; // the highest number ever given, so that none is used twice
  created_at: number;
}

export interface GenerationTable {
  osimage: string;
  id: string;
  number: number;
  parent: string | null;
  created_at: number;
  note: string;
  manifest: string;
  refs: Buffer; // → reference_list
}

/** Every blob a generation needs, so that gc need not understand manifests: sorted 32-byte digests. */
export interface ReferenceListTable {
  digest: Buffer; // SHA-256 of `digests`
  digests: Buffer;
}

export interface NodeTable {
  name: string;
  ip: string | null;
  uuid: string | null;
  serial: string | null;
  groups: string; // JSON
  attributes: string; // JSON
  switch_port: string | null; // its attribute of that name
}

export interface NodeMacTable {
  mac: string;
  node: string;
  position: number;
}

export interface NodeGroupTable {
  name: string;
  selections: string | null; // JSON
}

export interface AssignmentTable {
  node: string;
  state: string;
  osimage: string | null;
  generation: string | null;
  entry: string | null;
  since: number;
  destiny: string | null;
  chain: string | null; // JSON
  line: string | null;
}

export interface EventTable {
  id: Generated<number>;
  at: number;
  node: string | null;
  stage: string;
  detail: string;
  bytes: number | null;
  ms: number | null;
  generation: string | null;
  client: string | null;
}

export interface TokenTable {
  hash: Buffer;
  node: string;
  generation: string;
  client: string;
  expires_at: number;
  used_at: number | null;
}

export interface DhcpAddressTable {
  address: number; // as an unsigned 32-bit number
  mac: string; // who has it, or had it last
  node: string;
  state: 'offered' | 'bound' | 'declined' | 'reserved'; // reserved: a node's own, passed over
  expires_at: number; // free from then on
}

export interface StrangerTable {
  mac: string;
  client: string;
  uuid: string | null;
  port: string | null;
  first_seen: number;
  last_seen: number;
}

/** A row stands here before its file exists; blobs point at it only once it is `ready`. */
export interface PackTable {
  id: Generated<number>;
  name: string;
  state: 'writing' | 'ready';
  lease: string | null; // of the writer, while `writing`
  size: number; // of the file, once `ready`
}

export interface BlobTable {
  digest: Buffer;
  pack: number;
  offset: number;
  size: number;
}

/** What gc must leave alone: a running write's packs and blobs, or a generation that a node still fetches. */
export interface LeaseTable {
  id: string;
  kind: 'write' | 'read' | 'boot' | 'transfer';
  holder: string; // for `write` and `read`: what it is for
  host: string | null; // for `write` and `read`: process.ts
  pid: number | null;
  started: string | null;
  osimage: string | null;
  generation: string | null;
  refs: Buffer | null; // → reference_list, kept although the generation's row may go
  expires_at: number;
}

/** A blob that a running write found or made, and relies on. */
export interface LeaseBlobTable {
  lease: string;
  blob: Buffer;
}

/** Something queries can be made on, inside a transaction or not. */
export type Queries = Kysely<Tables> | Transaction<Tables>;

export type Row<Table> = Selectable<Table>;
