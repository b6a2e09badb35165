/** A file of the media that is imported. */
export interface SourceFile {
  readonly path: string; // relative to the source, `/`-separated
  readonly size: number; // bytes
  readonly where: string; // how error messages name it
  read(): AsyncIterable<Buffer>;
}

/** Media that is open for reading: a directory or an ISO with an installer's files, or one archive alone. */
export interface Source {
  readonly kind: 'directory' | 'iso' | 'archive';
  readonly files: readonly SourceFile[]; // in order of their paths
  readonly notes: readonly string[]; // what of the media is not among the files, a line each
  close(): Promise<void>;
}
