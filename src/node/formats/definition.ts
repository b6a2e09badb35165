/** A node as a file describes it, with xCAT's names of attributes; `''` takes one away. */
export interface NodeDefinition {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** A group as a file describes it. */
export interface GroupDefinition {
  readonly name: string;
  readonly where: readonly string[] | null; // selections, all of which a member fulfils; null: a list of members
  readonly members: readonly string[]; // of a list: who is put into it
}

/** An osimage's attributes as a file describes them. */
export interface OsimageDefinition {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}
