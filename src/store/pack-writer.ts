import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import type { Digest } from './digest.js';
import { fileError } from './errors.js';
import type { StoreLayout } from './layout.js';
import { encodePackEnd, packHeader, type PackEntry } from './pack-format.js';

/** A pack that is being written, below tmp/ until it is finished. Appends may run side by side. */
export class PackWriter {
  readonly name: string;
  readonly #layout: StoreLayout;
  readonly #file: FileHandle;
  readonly #entries: PackEntry[] = [];
  #end: number = packHeader.length;
  #open = true;
  #finished = false;

  private constructor(name: string, layout: StoreLayout, file: FileHandle) {
    this.name = name;
    this.#layout = layout;
    this.#file = file;
  }

  /** Begins the pack `name`. Throws StoreError, as every method here does when the disk is full or fails. */
  static async create(layout: StoreLayout, name: string): Promise<PackWriter> {
    const path = layout.temporaryPath(name);
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'wx', 0o600);
      await writeAll(file, packHeader, 0);
      return new PackWriter(name, layout, file);
    } catch (error) {
      await file?.close();
      if (file !== undefined) await rm(path, { force: true });
      throw fileError(error, layout.root);
    }
  }

  get entries(): readonly PackEntry[] {
    return this.#entries;
  }

  /** Whether its file may be in packs/ already. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Where the next blob would begin. */
  get end(): number {
    return this.#end;
  }

  /** Writes a whole blob. */
  async append(digest: Digest, bytes: Buffer): Promise<void> {
    const offset = this.#end;
    this.#end += bytes.length;
    await this.#write(bytes, offset);
    this.#entries.push({ digest, offset, size: bytes.length });
  }

  /** Writes more bytes of a blob that only its end will name. */
  async appendPiece(bytes: Buffer): Promise<void> {
    const offset = this.#end;
    this.#end += bytes.length;
    await this.#write(bytes, offset);
  }

  /** Names the bytes from `offset` to here. */
  endBlob(digest: Digest, offset: number): void {
    this.#entries.push({ digest, offset, size: this.#end - offset });
  }

  /** Forgets everything from `offset` on, where a blob began; the next one overwrites it. */
  rewind(offset: number): void {
    this.#end = offset;
    while ((this.#entries.at(-1)?.offset ?? -1) >= offset) this.#entries.pop();
  }

  /** Writes the index, makes the file durable and moves it to packs/; gives back its size. */
  async finish(): Promise<number> {
    this.#entries.sort((a, b) => a.offset - b.offset);
    const tail = encodePackEnd(this.#entries, this.#end);
    const size = this.#end + tail.length;
    try {
      await writeAll(this.#file, tail, this.#end);
      await this.#file.truncate(size);
      await this.#file.sync();
      await this.#close();
      this.#finished = true;
      await rename(this.#layout.temporaryPath(this.name), this.#layout.packPath(this.name));
      return size;
    } catch (error) {
      throw fileError(error, this.#layout.root);
    }
  }

  /** Removes the file, finished or not. */
  async abandon(): Promise<void> {
    await this.#close();
    await this.#layout.removePack(this.name);
  }

  async #write(bytes: Buffer, offset: number): Promise<void> {
    try {
      await writeAll(this.#file, bytes, offset);
    } catch (error) {
      throw fileError(error, this.#layout.root);
    }
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}
