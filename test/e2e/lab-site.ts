import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { watchBoot } from '../../src/demo/boot-watch.js';
import { makeDemoSite } from '../../src/demo/demo-site.js';
import { chooseAcceleration, type Accelerator } from '../../src/demo/kvm.js';
import { Lab } from '../../src/demo/lab.js';
import { serveInLab, type LabServer } from '../../src/demo/lab-server.js';
import { startMachine, type Machine } from '../../src/demo/machine.js';
import type { BootSource, Firmware, MachineSpec } from '../../src/demo/qemu.js';
import { packageRoot } from '../../src/site/assets.js';
import type { EventRecord, Store } from '../../src/store/records.js';
import { openStore } from '../../src/store/store.js';

const execute = promisify(execFile);

/** A boot under software emulation on busy processors, in milliseconds. */
const PATIENCE = 7 * 60_000;

/** A node of the lab. */
export interface LabNode {
  readonly name: string;
  readonly mac: string;
  readonly ip: string;
  readonly firmware: Firmware;
}

/** How a machine of the lab differs from others. */
export type MachineChanges = Partial<Pick<MachineSpec, 'memoryMb' | 'more'>> & {
  readonly lifetimeMs?: number; // of a machine that boots more than once
};

/** A site whose servers run in a lab, with the node records of machines to boot there. */
export class LabSite {
  readonly #stops: (() => Promise<unknown>)[] = [];
  #server: LabServer | undefined;

  protected constructor(
    readonly lab: Lab,
    readonly dir: string, // for the test's own files; the site is below it
    readonly store: Store,
    readonly accelerator: Accelerator,
  ) {}

  /** Opens a site that `prepare` fills before its servers start. */
  static async open(
    nodes: readonly LabNode[],
    prepare: (site: LabSite) => Promise<void> = async () => undefined,
  ): Promise<LabSite> {
    const { accelerator } = await chooseAcceleration();
    const dir = await mkdtemp(join(tmpdir(), 'rackboot-e2e-'));
    const site = await makeDemoSite(join(dir, 'site'));
    const store = await openStore(site);
    const lab = await Lab.open();
    const opened = new LabSite(lab, dir, store, accelerator);
    opened.#stops.push(
      () => rm(dir, { recursive: true, force: true }),
      () => store.close(),
      () => lab.close(),
    );
    try {
      await prepare(opened);
      for (const { name, mac, ip } of nodes) {
        await opened.rackboot('node', 'add', name, '--mac', mac, '--ip', ip);
      }
      await opened.serve();
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  /** Starts `rackboot serve` in the lab. */
  async serve(): Promise<void> {
    this.#server = await serveInLab(this.lab, join(this.dir, 'site'));
  }

  /** Ends it, if it runs. */
  async stopServing(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  async close(): Promise<void> {
    await this.stopServing();
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  /** Runs bin/rackboot on the site; a failed command fails the test with what it said. */
  async rackboot(...args: string[]): Promise<string> {
    const program = join(packageRoot(), 'bin', 'rackboot');
    const { stdout } = await execute(program, ['--site', join(this.dir, 'site'), ...args], {
      timeout: 120_000,
    });
    return stdout;
  }

  /** Starts the node's machine and runs `body` beside it. */
  async withMachine<T>(
    node: LabNode,
    boot: BootSource,
    body: (machine: Machine) => Promise<T>,
    changes: MachineChanges = {},
  ): Promise<T> {
    const { name, mac, firmware } = node;
    const { lifetimeMs = PATIENCE, ...spec } = changes;
    const machine = await startMachine(
      this.lab,
      { name, mac, firmware, boot, accelerator: this.accelerator, ...spec },
      { lifetimeMs },
    );
    try {
      return await body(machine);
    } finally {
      await machine.close();
    }
  }

  /** Boots the node until each of `wanted` (stages) was seen; gives the events in the order they came. */
  async bootUntil(
    node: LabNode,
    boot: BootSource,
    wanted: readonly string[],
  ): Promise<readonly EventRecord[]> {
    const events: EventRecord[] = [];
    const after = await this.store.events.lastId();
    await this.withMachine(node, boot, async (machine) => {
      let ended: string | undefined;
      void machine.ended.then((end) => {
        ended = `${end.message}; last on its console: ${machine.serial.text.slice(-2000)}`;
      });
      await watchBoot(this.store, node.name, {
        after,
        wanted,
        withinMs: PATIENCE,
        signal: new AbortController().signal,
        gone: () => ended,
        onEvent: (event) => events.push(event),
      });
    });
    return events;
  }
}

/** The detail of the first event of `stage`. */
export function detailOf(events: readonly EventRecord[], stage: string): string | undefined {
  return events.find((event) => event.stage === stage)?.detail;
}

/** The stages of `wanted`, in the order in which each was first seen. */
export function orderOf(events: readonly EventRecord[], wanted: readonly string[]): string[] {
  return [...new Set(events.map((event) => event.stage))].filter((stage) => wanted.includes(stage));
}
