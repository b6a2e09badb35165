import { readFileSync, readlinkSync } from 'node:fs';

/** A process on one of several hosts, such that no later process is taken for it. */
export interface ProcessIdentity {
  readonly host: string; // boot id and PID namespace: within one, PIDs can be compared
  readonly pid: number;
  readonly started: string; // clock ticks after boot
}

let own: ProcessIdentity | undefined;

/** This process. */
export function thisProcess(): ProcessIdentity {
  own ??= {
    host: `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${readlinkSync('/proc/self/ns/pid')}`,
    pid: process.pid,
    started: startOf('self') ?? '',
  };
  return own;
}

/** Whether `other` runs; undefined when it is on another host, where that cannot be known. */
export function isRunning(other: ProcessIdentity): boolean | undefined {
  if (other.host !== thisProcess().host) return undefined;
  return startOf(String(other.pid)) === other.started;
}

/** When the process started (proc(5): /proc/pid/stat, field 22), or undefined when it is gone or a zombie. */
function startOf(pid: string): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the command's name in parentheses, which may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}
