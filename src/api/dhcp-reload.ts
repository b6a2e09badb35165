import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { messageOf } from '../errors.js';
import { describePlace, type DhcpServer } from '../pxe/dhcp/server.js';
import type { SiteConfig } from '../site/config.js';

type DhcpConfig = SiteConfig['dhcp'];

export interface ReloadableDhcpOptions {
  readonly config: SiteConfig; // as the servers were started with it
  readonly start: (dhcp: DhcpConfig) => Promise<DhcpServer>;
  readonly read: () => Promise<SiteConfig>; // rackboot.yaml as it is now
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/**
 * The DHCP server, which takes a changed `dhcp` of rackboot.yaml while installs go on: leases are in the database, and
 * clients that ask in the moment between ask again. `dhcp.loaders` and all other keys take a restart.
 */
export class ReloadableDhcp {
  readonly #options: ReloadableDhcpOptions;
  #config: DhcpConfig;
  #running: DhcpServer;
  #reloading: Promise<void> = Promise.resolve();

  private constructor(options: ReloadableDhcpOptions, running: DhcpServer) {
    this.#options = options;
    this.#config = options.config.dhcp;
    this.#running = running;
  }

  /** Starts it as `config` says. Throws what `start` does. */
  static async start(options: ReloadableDhcpOptions): Promise<ReloadableDhcp> {
    return new ReloadableDhcp(options, await options.start(options.config.dhcp));
  }

  get answering(): DhcpServer['answering'] {
    return this.#running.answering;
  }

  /** Takes what rackboot.yaml says now. What cannot be taken is logged, and the server stays as it was. Never rejects. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  async close(): Promise<void> {
    await this.#reloading;
    await this.#running.close();
  }

  async #reload(): Promise<void> {
    const { config, read, log } = this.#options;
    let next: SiteConfig;
    try {
      next = await read();
    } catch (error) {
      log.error(`nothing is changed: ${messageOf(error)}`);
      return;
    }
    const late = changedKeys(config, next);
    if (late.length > 0)
      log.warn(`${late.join(', ')} changed in rackboot.yaml, which takes a restart of rackboot serve`);
    const { loaders: _, ...rest } = next.dhcp;
    const { loaders } = config.dhcp;
    const dhcp: DhcpConfig = { ...rest, ...(loaders === undefined ? {} : { loaders }) };
    if (isDeepStrictEqual(dhcp, this.#config)) return;
    await this.#running.close();
    try {
      this.#running = await this.#options.start(dhcp);
      this.#config = dhcp;
      const places = this.answering.map(describePlace);
      log.info(places.length === 0 ? 'DHCP is off now' : `taken from rackboot.yaml: ${places.join('; ')}`);
    } catch (error) {
      log.error(`DHCP stays as it was: ${messageOf(error)}`);
      await this.#startAgain();
    }
  }

  async #startAgain(): Promise<void> {
    try {
      this.#running = await this.#options.start(this.#config);
    } catch (error) {
      this.#running = { answering: [], close: async () => undefined };
      this.#options.log.error(
        `DHCP answers nothing until rackboot serve is started again: ${messageOf(error)}`,
      );
    }
  }
}

/** The keys that differ and take a restart. */
function changedKeys(config: SiteConfig, next: SiteConfig): readonly string[] {
  const keys = Object.keys(config) as (keyof SiteConfig)[];
  const changed = keys.filter((key) => key !== 'dhcp' && !isDeepStrictEqual(config[key], next[key]));
  return isDeepStrictEqual(config.dhcp.loaders, next.dhcp.loaders) ? changed : [...changed, 'dhcp.loaders'];
}
