/** A file of the media that is imported. */
export interface SourceFile {
  readonly path: string; // relative to the source, `/`-separated
  readonly size: number; // bytes
  readonly where: string; // how error messages name it
  read(): AsyncIterable<Buffer>;
}

/** What an ISO that is imported says of itself as a disc and as a disk. */
export interface Disc {
  readonly volumeId: string;
  /** Its El Torito boot images that are files of it, in order. */
  readonly boot: readonly { readonly platform: 'bios' | 'uefi' | 'other'; readonly file: SourceFile }[];
  readonly bootCode?: Buffer; // what a BIOS runs of it when it is a disk: the first bytes of the MBR
}

/** Media that is open for reading: a directory, an ISO or a web server's tree with an installer's files, or one archive alone. */
export interface Source {
  readonly kind: 'directory' | 'iso' | 'web' | 'archive';
  readonly files: readonly SourceFile[]; // in order of their paths
  readonly disc?: Disc; // of an ISO
  readonly notes: readonly string[]; // what of the media is not among the files, a line each
  close(): Promise<void>;
}

/** A small file's text. What it holds beyond `limit` bytes is left out. */
export async function readText(file: SourceFile, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of file.read()) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= limit) break;
  }
  return Buffer.concat(chunks).subarray(0, limit).toString('utf8');
}
