/** How metadata is signed: with a key, wherever that lies, or by the operator's own script over the whole tree. */
export type Signer = KeySigner | ScriptSigner;

/** Signs bytes with one key. */
export interface KeySigner {
  readonly kind: 'key';
  /** What tells this signer from others, for the id of a generation: its key's fingerprint. */
  readonly identity: string;
  readonly name: string; // the key is exported as RPM-GPG-KEY-<name>
  readonly publicKey: string; // armored
  /** A detached armored signature, dated `time` (seconds) where the signer can. Throws RepoError SIGNING_FAILED. */
  sign(bytes: Buffer, time?: number): Promise<string>;
}

/**
 * A program that gets the tree’s directory as its argument and must write repodata/repomd.xml.asc, export the key as
 * RPM-GPG-KEY-* and set key1 in .treeinfo, as create-iso’s --sign-script.
 */
export interface ScriptSigner {
  readonly kind: 'script';
  readonly identity: string;
  readonly program: string; // absolute
}
