import type { Command } from 'commander';
import { RackbootError } from '../errors.js';
import type { Site } from '../site/site.js';
import type { Store } from '../store/records.js';

/** A command line that cannot be obeyed as written; exits 2. */
export class UsageError extends RackbootError<'USAGE'> {
  override readonly name = 'UsageError';

  constructor(message: string) {
    super('USAGE', message);
  }
}

/** What a command may use of the process around it. */
export interface Context {
  readonly siteDir: string;
  readonly json: boolean;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Prints the result: JSON of `value` with --json, else `text()`, which needs no final newline. */
  print(value: unknown, text: () => string): void;
  /** A line about what is going on, on standard error; nothing depends on it. */
  note(line: string): void;
  /** The site's configuration; the database stays closed. */
  openSite(): Promise<Site>;
  /**
   * The site with its store, closed when the command ends. A command that only looks something up asks to `read`: it
   * works on a site that cannot be written, too.
   */
  openStore(use?: 'read' | 'write'): Promise<{ readonly site: Site; readonly store: Store }>;
}

/** A Context over the program's global options, and the function that closes what it opened. */
export function createContext(
  program: Command,
  streams: { stdout: NodeJS.WritableStream; stderr: NodeJS.WritableStream },
): { context: Context; close: () => Promise<void> } {
  let opened: Promise<{ site: Site; store: Store }> | undefined;
  const options = (): { site: string; json?: boolean } => program.opts();
  const context: Context = {
    get siteDir() {
      return options().site;
    },
    get json() {
      return options().json === true;
    },
    ...streams,
    print(value, text) {
      const rendered = context.json ? JSON.stringify(value, null, 2) : text();
      if (rendered !== '') streams.stdout.write(`${rendered}\n`);
    },
    note(line) {
      streams.stderr.write(`${line}\n`);
    },
    openSite: () => openSite(context.siteDir),
    openStore(use = 'write') {
      opened ??= openBoth(context.siteDir, use);
      return opened;
    },
  };
  return {
    context,
    async close() {
      const result = await opened?.catch(() => undefined);
      await result?.store.close();
    },
  };
}

// Loaded when they are needed: a command on a repository or an ISO needs neither configuration nor database.

async function openSite(dir: string): Promise<Site> {
  return (await import('../site/site.js')).openSite(dir);
}

async function openBoth(dir: string, use: 'read' | 'write'): Promise<{ site: Site; store: Store }> {
  const loading = import('../store/store.js');
  loading.catch(() => undefined); // met below, unless the site cannot be opened
  const site = await openSite(dir);
  const { openStore, openStoreToRead } = await loading;
  return { site, store: await (use === 'read' ? openStoreToRead(site) : openStore(site)) };
}
