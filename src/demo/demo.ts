import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { pino } from 'pino';
import { startServers, type RunningServers } from '../api/serve.js';
import { messageOf } from '../errors.js';
import { packageRoot } from '../site/assets.js';
import type { Site } from '../site/site.js';
import type { EventRecord, Store } from '../store/records.js';
import { openStore } from '../store/store.js';
import { watchBoot } from './boot-watch.js';
import { demoNode, makeDemoSite, outsideLab } from './demo-site.js';
import { DemoError } from './errors.js';
import { chooseAcceleration, type Accelerator } from './kvm.js';
import { canMakeLab, Lab } from './lab.js';
import { startMachine } from './machine.js';
import type { Firmware } from './qemu.js';

/** Where the Debian installer's package puts its netboot files. */
const INSTALLER = '/usr/lib/debian-installer/images/12/amd64/text';
const EDITION = '/usr/lib/rackboot/edition';
const BOOT_PATIENCE = 280_000; // milliseconds, under software emulation on a slow machine
const SERVE_PATIENCE = 20_000;

/** What a demo may use, and how it talks. */
export interface DemoOptions {
  readonly pageListen: string; // address:port of the status page
  readonly signal: AbortSignal;
  say(line: string): void;
  /** Keeps the page up until the operator ends it. */
  linger(page: string): Promise<void>;
}

/** One thing the demo sets out to prove. */
interface Proof {
  readonly what: string;
  readonly failure: string | null;
}

/**
 * The main job end to end, on Debian's installer, in a private network: import, layer, boot, change, boot again, ISO,
 * verification. Gives back whether every proof was made; what was not is said.
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-demo-'));
  const site = await makeDemoSite(join(directory, 'site'));
  const store = await openStore(site);
  const demo = new Demo(site, store, directory, options);
  let page: RunningServers | undefined;
  try {
    page = await startServers({
      site: outsideLab(site, options.pageListen),
      store,
      log: pino({ level: 'silent' }),
    });
    options.say(`status page: ${page.url}/`);
    await demo.run();
    demo.summary();
    await options.linger(`${page.url}/`);
    return demo.proved;
  } finally {
    await demo.close();
    await page?.close();
    await store.close();
    await rm(directory, { recursive: true, force: true });
  }
}

class Demo {
  readonly #site: Site;
  readonly #store: Store;
  readonly #directory: string;
  readonly #options: DemoOptions;
  readonly #proofs: Proof[] = [];
  #lab: Lab | undefined;
  #server: ChildProcess | undefined;

  constructor(site: Site, store: Store, directory: string, options: DemoOptions) {
    this.#site = site;
    this.#store = store;
    this.#directory = directory;
    this.#options = options;
  }

  get proved(): boolean {
    return this.#proofs.every((proof) => proof.failure === null);
  }

  async run(): Promise<void> {
    await this.#prove('the installer is imported', () =>
      this.#rackboot('image', 'import', INSTALLER, '--name', 'demo'),
    );
    await this.#prove('its layer is applied: boot arguments, answer file, extra files', () =>
      this.#rackboot('image', 'build', 'demo', '--layers', 'debian-installer'),
    );
    await this.#rackboot('node', 'add', demoNode.name, '--mac', demoNode.mac, '--ip', demoNode.ip);
    const rights = await canMakeLab();
    if (!rights.ok) this.#options.say(`no private network here: ${rights.reason}; ${rights.mend}`);
    const missing = rights.ok ? undefined : `no private network: ${rights.reason}`;
    const accelerator = await this.#startLab(rights.ok);
    await this.#prove(
      'a machine boots the installer over the network (BIOS)',
      () => this.#boot('bios', accelerator),
      missing,
    );
    const edition = `changed ${createHash('sha256').update(String(process.pid)).digest('hex').slice(0, 8)}`;
    await this.#prove('one file is changed and swapped in', () => this.#swap(edition));
    await this.#prove(
      'the next boot has the change (UEFI)',
      async () => {
        const events = await this.#boot('uefi', accelerator);
        const told = events.get('preseed')?.detail ?? '';
        if (told !== edition)
          throw new DemoError(
            'NOT_SEEN',
            `the machine reported ${JSON.stringify(told)} instead of ${JSON.stringify(edition)}`,
          );
      },
      missing,
    );
    const iso = join(this.#directory, 'demo.iso');
    await this.#prove('the same generation is an ISO', () =>
      this.#rackboot('image', 'iso', 'demo', '-o', iso),
    );
    await this.#prove('store, ISO and network serve the same bytes', () => this.#verify(iso));
    await this.#rackboot('status');
  }

  summary(): void {
    this.#options.say('');
    for (const { what, failure } of this.#proofs) {
      this.#options.say(failure === null ? `proved   ${what}` : `MISSING  ${what}: ${failure}`);
    }
  }

  /** Stops what was started; safe to call again. */
  async close(): Promise<void> {
    if (this.#server !== undefined && this.#server.exitCode === null && this.#server.signalCode === null) {
      const ended = once(this.#server, 'exit');
      this.#server.kill('SIGTERM');
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 3000).unref())]);
    }
    await this.#lab?.close();
  }

  async #prove(what: string, body: () => Promise<unknown>, missing?: string): Promise<void> {
    this.#options.signal.throwIfAborted();
    this.#options.say(`\n== ${what}`);
    if (missing !== undefined) {
      this.#options.say(`   not proved: ${missing}`);
      this.#proofs.push({ what, failure: missing });
      return;
    }
    const start = performance.now();
    try {
      await body();
      this.#options.say(`   proved in ${((performance.now() - start) / 1000).toFixed(1)} s`);
      this.#proofs.push({ what, failure: null });
    } catch (error) {
      this.#options.signal.throwIfAborted();
      this.#options.say(`   NOT proved: ${messageOf(error)}`);
      this.#proofs.push({ what, failure: messageOf(error) });
    }
  }

  /** Runs the program itself, as an operator would, in the lab when there is one; shows what it prints. */
  async #rackboot(...words: string[]): Promise<void> {
    const argv = [join(packageRoot(), 'bin/rackboot'), '--site', this.#site.dir, ...words];
    this.#options.say(`   $ rackboot ${words.join(' ')}`);
    const result = this.#lab === undefined ? await runHere(argv) : await this.#lab.run(argv);
    for (const line of result.stdout.trim().split('\n')) if (line !== '') this.#options.say(`     ${line}`);
    if (result.code !== 0)
      throw new DemoError('LAB_FAILED', result.stderr.trim().split('\n').at(-1) ?? 'it failed');
  }

  /** The lab with the servers in it, and how machines run; nothing when there are no rights for it. */
  async #startLab(allowed: boolean): Promise<Accelerator> {
    if (!allowed) return 'tcg';
    const { accelerator, reason } = await chooseAcceleration();
    this.#options.say(`machines run by ${accelerator === 'kvm' ? 'KVM' : 'software emulation'}: ${reason}`);
    this.#lab = await Lab.open();
    this.#server = this.#lab.spawn(
      [join(packageRoot(), 'bin/rackboot'), '--site', this.#site.dir, 'serve', '--log-level', 'warn'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    await this.#announced(this.#server);
    return accelerator;
  }

  /** Waits until the servers say what they listen on. */
  async #announced(server: ChildProcess): Promise<void> {
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new DemoError('LAB_FAILED', `the servers did not start: ${said.trim()}`)),
        SERVE_PATIENCE,
      );
      const listen = (chunk: Buffer): void => {
        said += chunk.toString();
        if (!/^DHCP .*$/m.test(said)) return;
        clearTimeout(timer);
        resolve();
      };
      server.stdout?.on('data', listen);
      server.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
      server.once('exit', () => {
        clearTimeout(timer);
        reject(new DemoError('LAB_FAILED', `the servers ended: ${said.trim().split('\n').at(-1) ?? ''}`));
      });
    });
    for (const line of said.trim().split('\n')) this.#options.say(`   ${line}`);
  }

  async #boot(firmware: Firmware, accelerator: Accelerator): Promise<Map<string, EventRecord>> {
    if (this.#lab === undefined) throw new DemoError('NO_LAB', 'no private network here');
    const after = await this.#store.events.lastId();
    await this.#rackboot('nodeset', demoNode.name, 'osimage=demo');
    const start = Date.now();
    const machine = await startMachine(
      this.#lab,
      { name: demoNode.name, mac: demoNode.mac, firmware, boot: { kind: 'network' }, accelerator },
      { lifetimeMs: BOOT_PATIENCE + 20_000, serialFile: join(this.#directory, `${firmware}.log`) },
    );
    let ended: string | undefined;
    void machine.ended.then((end) => (ended = `the machine ended (${end.message})`));
    try {
      return await watchBoot(this.#store, demoNode.name, {
        after,
        wanted: [
          'dhcp',
          'script',
          'kernel',
          'initrd',
          'preseed',
          'answer',
          'installing',
          ...(firmware === 'uefi' ? ['loader'] : []),
        ],
        withinMs: BOOT_PATIENCE,
        signal: this.#options.signal,
        gone: () => ended,
        onEvent: (event) => this.#options.say(describe(event, start)),
      });
    } finally {
      await machine.close();
    }
  }

  async #swap(edition: string): Promise<void> {
    const file = join(this.#directory, 'edition');
    await writeFile(file, `${edition}\n`);
    await this.#rackboot('image', 'put', 'demo', `${file}:${EDITION}`);
    await this.#rackboot('image', 'diff', 'demo');
  }

  async #verify(iso: string): Promise<void> {
    await this.#rackboot('image', 'verify', 'demo', '--iso', iso);
  }
}

function describe(event: EventRecord, start: number): string {
  const seconds = Math.max(0, (event.at - start) / 1000).toFixed(1);
  const bytes = event.bytes === null ? '' : `  ${(event.bytes / 1024 / 1024).toFixed(1)} MiB`;
  const ms = event.ms === null ? '' : ` in ${event.ms} ms`;
  return `   ${seconds.padStart(6)} s  ${event.stage.padEnd(10)} ${event.detail}${bytes}${ms}`;
}

async function runHere(
  argv: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { execa } = await import('execa');
  const [program = '', ...rest] = argv;
  const { exitCode, stdout, stderr } = await execa(program, rest, { reject: false, timeout: 300_000 });
  return { code: exitCode ?? null, stdout, stderr };
}
