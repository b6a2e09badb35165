import type { Digest } from './digest.js';
import type { BlobReader, BlobWriter } from './types.js';

/** Milliseconds since the epoch, as Date.now() gives them. */
export type Timestamp = number;

export interface OsimageRecord {
  readonly name: string;
  readonly family: string;
  readonly current: string; // generation id that `nodeset osimage=N` and /images/N/… mean
  readonly createdAt: Timestamp;
}

/** Which generation of which osimage. */
export interface GenerationName {
  readonly osimage: string;
  readonly id: string;
}

/** One row of an osimage's history. The same id may stand in the history of several osimages, once in each. */
export interface GenerationRecord {
  readonly osimage: string;
  readonly id: string; // digest of the generation's inputs, 64 hexadecimal digits
  readonly number: number; // 1, 2, 3 … within the osimage, never reused
  readonly parent: string | null; // id of the generation it was made from
  readonly createdAt: Timestamp;
  readonly note: string; // what made it, for `image history`: "import", "put /etc/hello"
  readonly manifest: string; // JSON of a GenerationManifest
}

export interface NodeRecord {
  readonly name: string;
  readonly macs: readonly string[]; // lower case, colon-separated; the first is the boot interface
  readonly ip: string | null; // reservation
  readonly uuid: string | null; // SMBIOS UUID, lower case
  readonly serial: string | null;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, string>>; // free: usable in answer files and boot arguments
}

/** What a node does at its next network boot. */
export type AssignmentState = 'osimage' | 'boot' | 'offline';

export interface AssignmentRecord {
  readonly node: string;
  readonly state: AssignmentState;
  readonly osimage: string | null; // set when state is `osimage`; kept afterwards as the last one
  readonly generation: string | null; // pinned generation id, or null for the osimage's current one
  readonly entry: string | null; // boot entry label, or null for the default
  readonly since: Timestamp;
  /** What the osimage is booted for, where it does several things: xCAT's `shell`, `runcmd=bmcsetup` … */
  readonly destiny?: string;
  /** What the node is set to afterwards, one step after another. */
  readonly chain?: readonly ChainStep[];
  /** The kernel line that xCAT composed for the node, where xCAT set it; without it the osimage's own. */
  readonly line?: string;
}

/** A later step of a chain: an assignment of whatever generation is current then. */
export type ChainStep = Pick<AssignmentRecord, 'state' | 'osimage' | 'entry' | 'destiny'>;

/** A group of nodes that is defined by itself, beside those that nodes say they are in. */
export interface GroupRecord {
  readonly name: string;
  /** The selections (`arch==x86_64`) that all of its members fulfil; null for a list, whose members say so themselves. */
  readonly where: readonly string[] | null;
}

/** A change of one attribute of a node; '' takes it away. */
export interface AttributeChange {
  readonly node: string;
  readonly key: string;
  readonly value: string;
}

/** Something that happened to a node: the rows `status` is derived from. */
export interface EventRecord {
  readonly id: number; // grows
  readonly at: Timestamp;
  readonly node: string | null; // null: a client no node is known for
  readonly stage: string; // node/stages.ts: nodeset, dhcp, loader, script, local, kernel, initrd, answer, tree, installing, installed, failed …
  readonly detail: string; // one line, no secrets
  readonly bytes: number | null;
  readonly ms: number | null; // how long it took
  readonly generation: string | null;
  readonly client: string | null; // address or MAC it came from
}

/** How much of the history stays. */
export interface HistoryBounds {
  readonly before: Timestamp; // what happened before goes
  readonly most: number; // events kept, whatever their age
  readonly keep: number; // the last of each node, which stay whatever `before` and `most` say
}

/** An event that is yet to be written. */
export type NewEvent = Omit<EventRecord, 'id'>;

/** Assignments, and what they put into the nodes' history. */
export interface Reassignment {
  readonly assignments: readonly AssignmentRecord[];
  readonly events: readonly NewEvent[];
  readonly attributes?: readonly AttributeChange[];
}

export interface PublishRequest {
  readonly osimage: string;
  readonly family: string;
  readonly id: string;
  readonly parent: string | null;
  readonly note: string;
  readonly manifest: string;
  /** Every blob the generation needs, at any depth; gc keeps exactly these. */
  readonly blobs: Iterable<Digest>;
  readonly attributes?: readonly AttributeChange[]; // of nodes, in the same transaction
}

/** What becomes of the nodes that are set to something that goes; pure. */
export type Reassign = (users: readonly AssignmentRecord[]) => Reassignment;

export interface OsimageState {
  list(): Promise<OsimageRecord[]>; // by name
  get(name: string): Promise<OsimageRecord | undefined>;
  /**
   * Adds the generation to the osimage's history (creating the osimage when `create`) and makes it current, in one
   * transaction. An id that is already in the history is not added again, only made current. Throws StoreError
   * OSIMAGE_EXISTS when `create` and the name is taken, NO_SUCH_OSIMAGE when not `create` and it is missing, and
   * STALE_PARENT when the current generation is no longer `parent` (another build came first).
   */
  publish(request: PublishRequest, options: { create: boolean }): Promise<GenerationRecord>;
  /** Makes an existing generation current. */
  setCurrent(name: string, id: string): Promise<void>;
  /** History, newest first. */
  history(name: string): Promise<GenerationRecord[]>;
  generation(name: string, id: string): Promise<GenerationRecord | undefined>;
  /**
   * Removes the osimage and its history; its blobs go with the next gc. Nodes that are set to it are what `reassign`
   * says, in the same transaction, and are given back; without `reassign` they are StoreError OSIMAGE_IN_USE.
   */
  remove(name: string, reassign?: Reassign): Promise<readonly AssignmentRecord[]>;
  /** Removes one generation that is not current, as `remove` does; StoreError GENERATION_IN_USE. */
  removeGeneration(name: string, id: string, reassign?: Reassign): Promise<readonly AssignmentRecord[]>;
}

/** What DHCP wants to know of a node whose interface asks. */
export interface NodeAtMac {
  readonly mac: string;
  readonly name: string;
  readonly ip: string | null;
  readonly attributes: Readonly<Record<string, string>>;
  readonly state: AssignmentState | null; // of its assignment, when it has one
}

export interface NodeState {
  list(): Promise<NodeRecord[]>; // by name
  get(name: string): Promise<NodeRecord | undefined>;
  getMany(names: readonly string[]): Promise<NodeRecord[]>;
  byMac(mac: string): Promise<NodeRecord | undefined>;
  byIp(ip: string): Promise<NodeRecord | undefined>;
  byUuid(uuid: string): Promise<NodeRecord | undefined>;
  bySerial(serial: string): Promise<NodeRecord | undefined>;
  /** The node whose attribute `switchport` it is. */
  bySwitchPort(port: string): Promise<NodeRecord | undefined>;
  /** Inserts or replaces. A MAC or address of another node is StoreError NODE_CONFLICT, which names that node. */
  put(node: NodeRecord): Promise<void>;
  /** As `put`, all of them and `groups` in one transaction; nodes among them may swap what they are known by. */
  putAll(nodes: readonly NodeRecord[], groups?: readonly GroupRecord[]): Promise<void>;
  remove(names: readonly string[]): Promise<void>;

  groups(): Promise<GroupRecord[]>; // by name
  removeGroups(names: readonly string[]): Promise<void>;

  assignment(node: string): Promise<AssignmentRecord | undefined>;
  assignments(nodes?: readonly string[]): Promise<AssignmentRecord[]>;
  /** Sets all of them and writes `events` and `attributes`, in one transaction: every node with its history, or none. */
  assign(
    assignments: readonly AssignmentRecord[],
    events?: readonly NewEvent[],
    attributes?: readonly AttributeChange[],
  ): Promise<void>;
  /** The nodes that have one of the MAC addresses `macs`, each with what it is set to. */
  atMacs(macs: readonly string[]): Promise<readonly NodeAtMac[]>;
  /** Sets `next` only while the node's assignment still is `osimage` with since === `since`; says whether it did. */
  assignIf(node: string, since: Timestamp, next: AssignmentRecord): Promise<boolean>;
}

export interface EventState {
  append(event: NewEvent): Promise<EventRecord>;
  /** All of them, in their order. */
  appendAll(events: readonly NewEvent[]): Promise<void>;
  /** Events with an id greater than `after`, oldest first, at most `limit`. */
  since(after: number, limit: number): Promise<EventRecord[]>;
  /** The latest events of a node, newest first. */
  ofNode(node: string, limit: number): Promise<EventRecord[]>;
  /** The latest event of a node that is of `stage`. */
  latest(node: string, stage: string): Promise<EventRecord | undefined>;
  lastId(): Promise<number>;
  /** Removes what `bounds` leaves no room for, a small transaction a step, each yielding how many events it removed. */
  prune(bounds: HistoryBounds): AsyncIterable<number>;
}

/** One-time tokens for answer files. Only a SHA-256 of each is stored. */
export interface TokenState {
  /** A new 32-character URL-safe token for `node` and `client`; earlier unused ones of the node stop working. */
  issue(token: { node: string; generation: string; client: string; expiresAt: Timestamp }): Promise<string>;
  /**
   * Makes `token`, a secret of the caller's, work once more, whether or not it was used; the node's other tokens stay as
   * they are until the next `issue`.
   */
  renew(
    token: string,
    of: { node: string; generation: string; client: string; expiresAt: Timestamp },
  ): Promise<void>;
  /** Uses the token up: true exactly once per token, and only for the right node and client before it expires. */
  consume(token: string, node: string, client: string, now: Timestamp): Promise<boolean>;
  /** Makes a consumed token usable again, because its response did not reach the client whole. */
  restore(token: string): Promise<void>;
}

export interface LeaseState {
  /** Keeps a generation from gc until `expiresAt`; called again it only extends. `holder` says who: a server's or a node's name. */
  holdGeneration(lease: {
    kind: 'boot' | 'transfer';
    holder: string;
    osimage: string;
    generation: string;
    expiresAt: Timestamp;
  }): Promise<void>;
}

/** The addresses from `first` to `last`, both given out. */
export interface AddressRange {
  readonly first: string;
  readonly last: string;
}

/** A pool's address and the node's interface that has it. */
export interface AddressLease {
  readonly address: string;
  readonly mac: string;
  readonly node: string;
  readonly state: 'offered' | 'bound' | 'declined';
  readonly expiresAt: Timestamp;
}

/** What a node's interface asks of the pools. */
export interface AddressClaim {
  readonly mac: string;
  readonly node: string;
  readonly ranges: readonly AddressRange[];
  readonly wanted: string | null; // taken when it is free
  readonly until: Timestamp; // an offer that is not bound by then is free again
  readonly most?: number; // addresses that the node may have in `ranges`, by all its interfaces; without it, any number
}

/** The pools' addresses of some interfaces, while nobody else changes any. */
export interface AddressBook {
  /** The interface's own address in `ranges`, else a free one; undefined when all are taken, or `most` by its node. No node's reservation is given. */
  claim(claim: AddressClaim): Promise<AddressLease | undefined>;
  /** Makes it the interface's until then; false when it is not the interface's to begin with. */
  bind(address: string, mac: string, until: Timestamp): boolean;
  release(address: string, mac: string): void;
  /** Gives it to nobody until then: another machine uses it. */
  decline(address: string, mac: string, until: Timestamp): void;
  /** What is bound to an interface. */
  ofMac(mac: string): readonly AddressLease[];
}

/** Addresses that DHCP gives out of pools. Whatever servers share the database, an interface has one in each pool, and nobody else it. */
export interface AddressState {
  /**
   * Runs `body` on the book of the interfaces `macs` as it is at `now`. All that it does lasts, or nothing, when this
   * resolves; unless it is `durable` a power cut may lose it. `body` may only await the book.
   */
  settle<T>(
    macs: readonly string[],
    now: Timestamp,
    body: (book: AddressBook) => Promise<T>,
    options?: { readonly durable: boolean },
  ): Promise<T>;
  /**
   * As `settle`, but resolves when others see what was done and a crash leaves it; `durable` when a power cut does too.
   * It rejects when the disk refuses: then nothing may be said to anybody about it.
   */
  settleAhead<T>(
    macs: readonly string[],
    now: Timestamp,
    body: (book: AddressBook) => Promise<T>,
  ): Promise<{ readonly value: T; readonly durable: Promise<void> }>;
  /** What is bound to a node (its latest), and at an address. */
  ofNode(node: string, now: Timestamp): Promise<AddressLease | undefined>;
  at(address: string, now: Timestamp): Promise<AddressLease | undefined>;
  /** All that are bound or declined, by address. */
  ofNodes(now: Timestamp): Promise<readonly AddressLease[]>;
}

/** A machine that asked for an address, and is no node. */
export interface StrangerRecord {
  readonly mac: string;
  readonly client: string; // `PXE ROM, UEFI x64`
  readonly uuid: string | null;
  readonly port: string | null; // the switch port, as its relay calls it
  readonly firstSeen: Timestamp;
  readonly lastSeen: Timestamp;
}

export interface StrangerState {
  /** Writes it down, or when it was seen last. At most 4096 are kept. */
  record(seen: Omit<StrangerRecord, 'firstSeen' | 'lastSeen'> & { readonly at: Timestamp }): Promise<void>;
  /** Those that are still no node's, the latest first. */
  list(): Promise<readonly StrangerRecord[]>;
}

export interface VerifyProblem {
  readonly pack: string;
  readonly blob: Digest | null;
  readonly problem: string;
}

/** What gc would have removed, had nobody still been reading it. */
export interface HeldGarbage extends GenerationName {
  readonly bytes: number; // that only these holders keep
  readonly holders: readonly {
    readonly kind: 'boot' | 'transfer' | 'read';
    readonly holder: string; // a node, a server, or what a command does
    readonly pid: number | null; // of a command: its lease ends with it
    readonly expiresAt: Timestamp; // unless it is renewed
  }[];
}

export interface GcResult {
  readonly generations: number; // rows removed
  readonly blobs: number;
  readonly files: number;
  readonly bytes: number;
  readonly held: readonly HeldGarbage[];
}

/** An open store: blobs on disk, state in the database. */
export interface Store {
  /** What is the same for every process that has this store open, and another for any other store. */
  identity(): Promise<string>;
  readonly blobs: BlobReader;
  readonly osimages: OsimageState;
  readonly nodes: NodeState;
  readonly events: EventState;
  readonly tokens: TokenState;
  readonly leases: LeaseState;
  readonly addresses: AddressState;
  readonly strangers: StrangerState;
  /**
   * Runs `body` under a write lease: nothing it puts, or finds already there, is collected until it returns. When it
   * throws, what was not sealed is discarded.
   */
  write<T>(purpose: string, body: (writer: BlobWriter) => Promise<T>): Promise<T>;
  /**
   * Runs `body` under read leases: what `generations` hold is not collected until it returns, whatever becomes of their
   * rows. `purpose` is how gc calls it. Throws StoreError NO_SUCH_OSIMAGE or NO_SUCH_GENERATION when one is gone already.
   */
  read<T>(purpose: string, generations: readonly GenerationName[], body: () => Promise<T>): Promise<T>;
  /** Runs `body` with an empty directory in the store for its unfinished work, which is removed when it ends. */
  scratch<T>(body: (directory: string) => Promise<T>): Promise<T>;
  /** Re-reads every blob and compares it with its name. `checked` counts blobs and bytes. */
  verify(
    progress?: (done: number, total: number) => void,
  ): Promise<{ blobs: number; bytes: number; problems: VerifyProblem[] }>;
  /**
   * Removes what no generation, no lease and no running write refers to. With `keep`, first drops generations older
   * than the newest `keep` of each osimage that are not current, pinned by an assignment, or held by a lease.
   */
  gc(options: { dryRun: boolean; keep?: number }): Promise<GcResult>;
  close(): Promise<void>;
}
