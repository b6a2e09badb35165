import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENT_SIDE, type Namespace } from './segment.js';

/** A DHCP client of Debian's that runs in a namespace. */
export interface RunningClient {
  /** Has it give its address back, and waits until it has ended. */
  release(): Promise<void>;
  /** Ends it as a power cut would; what it wrote down stays. */
  cut(): Promise<void>;
}

export interface RealClient {
  readonly name: string;
  /** Whether it asks for the address it had before, after a reboot (INIT-REBOOT). */
  readonly remembers: boolean;
  /** Starts it in the namespace `machine`; `dir` keeps what it remembers. It looks by ARP before it uses an address. */
  start(machine: Namespace, dir: string): Promise<RunningClient>;
}

const { interface: device } = CLIENT_SIDE;

const UDHCPC_SCRIPT = `#!/bin/sh
case $1 in
deconfig) ip address flush dev "$interface" ;;
bound | renew) ip address replace "$ip/24" dev "$interface" ;;
esac
`;

// It takes a script that fails as the word that somebody else has the address, and declines it.
const DHCLIENT_SCRIPT = `#!/bin/sh
case $reason in
PREINIT | EXPIRE | RELEASE | STOP) ip address flush dev "$interface" ;;
BOUND | REBOOT | RENEW | REBIND)
  [ "$old_ip_address" = "$new_ip_address" ] || arping -q -D -c 1 -w 1 -I "$interface" "$new_ip_address" || exit 1
  ip address replace "$new_ip_address/24" dev "$interface" ;;
esac
`;

const udhcpc: RealClient = {
  name: 'udhcpc',
  remembers: false,
  async start(machine, dir) {
    const script = join(dir, 'udhcpc-script');
    await writeFile(script, UDHCPC_SCRIPT, { mode: 0o755 });
    const child = spawnQuietly(machine, [
      'udhcpc',
      '-f',
      '-R',
      '-a500',
      '-t',
      '50',
      '-T',
      '1',
      '-i',
      device,
      '-s',
      script,
    ]);
    return {
      release: () => endBy(child, child.pid ?? 0, 'SIGTERM'),
      cut: () => endBy(child, child.pid ?? 0, 'SIGKILL'),
    };
  },
};

const dhclient: RealClient = {
  name: 'dhclient',
  remembers: true,
  async start(machine, dir) {
    const script = join(dir, 'dhclient-script');
    await writeFile(script, DHCLIENT_SCRIPT, { mode: 0o755 });
    const leases = join(dir, 'dhclient-leases');
    if (!existsSync(leases)) await writeFile(leases, '');
    const config = join(dir, 'dhclient-config');
    await writeFile(config, 'initial-interval 1; backoff-cutoff 2; retry 1; reboot 5;\n');
    const files = ['-cf', config, '-sf', script, '-lf', leases, '-pf', join(dir, 'dhclient-pid')];
    const child = spawnQuietly(machine, ['dhclient', '-4', '-d', ...files, device]);
    return {
      async release() {
        await machine.must('dhclient', '-4', '-r', ...files, device);
        await gone(child);
      },
      cut: () => endBy(child, child.pid ?? 0, 'SIGKILL'),
    };
  },
};

/** It keeps its files in fixed places and leaves helpers behind: both are the test's own in its namespaces. */
const dhcpcd: RealClient = {
  name: 'dhcpcd',
  remembers: true,
  async start(machine, dir) {
    const state = join(dir, 'dhcpcd-state');
    await mkdir(state, { recursive: true });
    const places = `mount --bind ${state} /var/lib/dhcpcd && mount -t tmpfs none /run && mount -t proc proc /proc`;
    // Process 1 of a namespace gets no signal that it does not handle: dhcpcd is to be another one.
    const child = spawnQuietly(machine, [
      ...[
        'unshare',
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        'sh',
        '-c',
        `${places} && "$@" & wait`,
        'sh',
      ],
      ...['dhcpcd', '-4', '-B', '-L', '-t', '0', '-y', '10', '-f', '/dev/null', '-c', '/bin/true', device],
    ]);
    return {
      async release() {
        const inside = ['nsenter', '--target', String(await onlyChild(child.pid ?? 0)), '--mount', '--pid'];
        await machine.run([...inside, 'dhcpcd', '-4', '-k', device]); // its namespace ends with it
        await gone(child);
      },
      cut: () => endBy(child, child.pid ?? 0, 'SIGKILL'),
    };
  },
};

export const REAL_CLIENTS: readonly RealClient[] = [udhcpc, dhclient, dhcpcd];

function spawnQuietly(machine: Namespace, argv: readonly string[]): ChildProcess {
  const child = machine.spawn(argv);
  child.stdout?.resume();
  child.stderr?.resume();
  return child;
}

async function onlyChild(pid: number): Promise<number> {
  for (let tries = 0; tries < 200; tries += 1, await sleep(50)) {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    if (child !== undefined) return Number(child);
  }
  throw new Error(`process ${pid} started nothing`);
}

/** Sends `signal` to `pid`, and waits until `child` has ended. */
async function endBy(child: ChildProcess, pid: number, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) throw new Error('the client has ended by itself');
  process.kill(pid, signal);
  await gone(child);
}

async function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const bound = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await once(child, 'exit');
  clearTimeout(bound);
}
