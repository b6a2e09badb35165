import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import { codeOf, messageOf } from '../../errors.js';
import type { SiteConfig } from '../../site/config.js';
import { makeGrubCore, type CoreFormat } from './grub-core.js';
import { loaderSource } from './loader-files.js';

/** A boot loader as it is handed out. */
export interface Loader {
  readonly bytes: Buffer;
  readonly sha256: string; // hexadecimal
}

/** The boot loaders that are handed out by name, kept in memory: a few of at most some MiB. */
export class Loaders {
  readonly #config: SiteConfig;
  readonly #serverUrl: () => string;
  readonly #log: Pick<Logger, 'error'>;
  readonly #files = new Map<string, Loader & { readonly mtimeMs: number }>();
  readonly #cores = new Map<string, Promise<Loader>>();

  constructor(config: SiteConfig, serverUrl: () => string, log: Pick<Logger, 'error'>) {
    this.#config = config;
    this.#serverUrl = serverUrl;
    this.#log = log;
  }

  /** The loader `name`; undefined when it is not published, not installed, or (which is logged) cannot be made. */
  async open(name: string): Promise<Loader | undefined> {
    const source = loaderSource(name, this.#config);
    if (source === undefined) return undefined;
    return source.kind === 'file' ? this.#read(source.path) : this.#core(source.format);
  }

  async #read(path: string): Promise<Loader | undefined> {
    try {
      const { mtimeMs } = await stat(path);
      const before = this.#files.get(path);
      if (before?.mtimeMs === mtimeMs) return before;
      const loader = { ...loaderOf(await readFile(path)), mtimeMs };
      this.#files.set(path, loader);
      return loader;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Made once; tried again at the next request when it could not be. */
  async #core(format: CoreFormat): Promise<Loader | undefined> {
    const url = this.#serverUrl();
    const key = `${format} ${url}`;
    const core = this.#cores.get(key) ?? makeGrubCore(format, url).then(loaderOf);
    this.#cores.set(key, core);
    try {
      return await core;
    } catch (error) {
      this.#cores.delete(key);
      this.#log.error(messageOf(error));
      return undefined;
    }
  }
}

function loaderOf(bytes: Buffer): Loader {
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}
