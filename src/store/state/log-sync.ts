import { open, type FileHandle } from 'node:fs/promises';

/**
 * Waits for the disk on another thread, for all who ask: what was written to a file before `reached` was called is on the
 * disk when that resolves. Those who ask while it syncs share the next one, which begins when this one ends.
 */
export class LogSync {
  readonly #path: string;
  readonly #sync: (file: FileHandle) => Promise<void>;
  #file: Promise<FileHandle> | undefined;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** The file has to be there when `reached` is called first, and stays the same until `close`. */
  constructor(path: string, sync = (file: FileHandle): Promise<void> => file.datasync()) {
    this.#path = path;
    this.#sync = sync;
  }

  /**
   * Rejects with the error of a sync that failed, and from then on: the kernel forgets what it could not write, so that a
   * later sync that works says nothing about it (fsync(2), NOTES).
   */
  reached(): Promise<void> {
    this.#next ??= this.#after(this.#running);
    return this.#next;
  }

  /** Waits for what runs. Nothing may be asked any more. */
  async close(): Promise<void> {
    await (this.#next ?? this.#running).catch(() => undefined);
    const file = await this.#file?.catch(() => undefined);
    await file?.close();
  }

  /** The file; opened anew when it could not be, which says nothing about what was written. */
  async #open(): Promise<FileHandle> {
    try {
      this.#file ??= open(this.#path, 'r');
      return await this.#file;
    } catch (error) {
      this.#file = undefined;
      throw error;
    }
  }

  async #after(before: Promise<void>): Promise<void> {
    await before.catch(() => undefined);
    this.#running = this.#next ?? Promise.resolve();
    this.#next = undefined;
    if (this.#failure !== undefined) throw this.#failure.error;
    const file = await this.#open();
    try {
      await this.#sync(file);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}
