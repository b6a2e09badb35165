import type { Logger } from 'pino';
import type { SiteConfig } from '../../site/config.js';
import type { Store, Timestamp } from '../../store/records.js';
import { GenerationHolds } from './generation-holds.js';
import { Generations } from './generations.js';
import { Loaders } from './loaders.js';
import { ProgressBus } from './progress.js';
import { Transfers } from './transfers.js';

/** What the boot servers share: one of it for HTTP, TFTP and DHCP together. */
export interface BootService {
  readonly store: Store;
  readonly config: SiteConfig;
  readonly runKey: Buffer; // node/run-token.ts
  readonly log: Logger;
  readonly generations: Generations;
  readonly holds: GenerationHolds;
  readonly loaders: Loaders;
  readonly transfers: Transfers;
  readonly progress: ProgressBus;
  readonly now: () => Timestamp;
  /** How nodes reach HTTP, without a final slash; known once HTTP listens. */
  readonly serverUrl: () => string;
}

export interface BootServiceOptions {
  readonly store: Store;
  readonly config: SiteConfig;
  readonly runKey: Buffer;
  readonly log: Logger;
  readonly holder: string; // names this server in leases
  readonly now: () => Timestamp;
  readonly serverUrl: () => string;
}

/** A BootService over an open store. */
export function createBootService(options: BootServiceOptions): BootService {
  const { store, config, runKey, log, now, serverUrl } = options;
  const progress = new ProgressBus();
  return {
    store,
    config,
    runKey,
    log,
    now,
    serverUrl,
    progress,
    generations: new Generations(store, now),
    holds: new GenerationHolds(store.leases, options.holder, now),
    loaders: new Loaders(config, serverUrl, log),
    transfers: new Transfers({ events: store.events, progress, log, now }),
  };
}
