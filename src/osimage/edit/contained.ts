import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { codeOf } from '../../errors.js';
import { OsimageError } from '../errors.js';

/** A shell script to run in namespaces of its own. */
export interface ContainedScript {
  readonly mounts: string; // run first, in the order of a boot: what it complains about is why there is no root
  readonly body: string; // run then: its output is the caller's
  readonly args: readonly string[]; // $1 …
  readonly network: boolean; // whether it has this machine's network; otherwise it has none
  /** As root in a user namespace of its own, which needs no rights; else as root. */
  readonly unprivileged: boolean;
  readonly identities?: 'all'; // in a user namespace: all that /etc/subuid and /etc/subgid give this user
  readonly env: Readonly<Record<string, string>>; // beside PATH, HOME, LANG and the user's names
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly signal: AbortSignal; // kills it
}

/** How a script ended: a status as a shell gives it, 128 and more for a signal. */
export type CommandEnd = { readonly kind: 'ended'; readonly status: number } | { readonly kind: 'aborted' };

/** Written by the script once all is mounted: from then on the body has standard error. */
const READY = 'ready\n';

/** Mounts proc and a small dev in the root directory "$root", which has both directories. */
export const MOUNT_PROC_AND_DEV = `mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,noexec,mode=755,size=1m dev "$root/dev"
for node in null zero full random urandom tty; do
  : > "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mkdir -m 1777 "$root/dev/shm"`;

/** Before a command: root without the rights over the machine that no image needs. */
export const WITHOUT_MACHINE =
  'setpriv --bounding-set -sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog,-wake_alarm,-mac_admin --';

/** Where programs of an image are looked for. */
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs a script in mount, PID, IPC, UTS and, without network, network namespaces of its own: nothing it mounts is seen
 * outside, and all that it starts ends with it, also when this process is killed. Throws OsimageError NO_ROOT when the
 * system does not allow that.
 */
export async function runContained(script: ContainedScript): Promise<CommandEnd> {
  if (script.signal.aborted) return { kind: 'aborted' };
  const child = spawn('setpriv', argumentsOf(script), {
    env: {
      PATH,
      HOME: '/root',
      USER: 'root',
      LOGNAME: 'root',
      LANG: 'C.UTF-8',
      ...script.env,
    },
    stdio: ['inherit', sink(script.stdout, 1), 'pipe', sink(script.stderr, 2)],
  });
  const abort = (): void => killAll(child);
  script.signal.addEventListener('abort', abort);
  try {
    forward(child.stdio[1], script.stdout);
    forward(child.stdio[3], script.stderr);
    const told = textOf(child.stdio[2]);
    const status = await statusOf(child);
    if (script.signal.aborted) return { kind: 'aborted' };
    const text = await told;
    if (!text.endsWith(READY)) throw refused(script, text);
    return { kind: 'ended', status };
  } finally {
    script.signal.removeEventListener('abort', abort);
  }
}

function argumentsOf({ mounts, body, args, network, unprivileged, identities }: ContainedScript): string[] {
  const script = `set -e\numask 022\n${mounts}\nprintf '${READY.trim()}\\n' >&2\nexec 2>&3 3>&-\n${body}\n`;
  return [
    ...['--pdeathsig', 'KILL', '--', 'unshare'],
    ...(unprivileged ? ['--user', '--map-root-user'] : []),
    ...(unprivileged && identities === 'all' ? ['--map-auto'] : []),
    ...['--mount', '--pid', '--fork', '--kill-child=KILL', '--uts', '--ipc'],
    ...(network ? [] : ['--net']),
    ...['--', 'sh', '-c', script, 'sh', ...args],
  ];
}

/** The process's own stream as it is, so that a terminal stays one; any other through a pipe. */
function sink(stream: NodeJS.WritableStream, descriptor: 1 | 2): 'pipe' | number {
  return stream === (descriptor === 1 ? process.stdout : process.stderr) ? descriptor : 'pipe';
}

function forward(from: ChildProcess['stdio'][number] | undefined, to: NodeJS.WritableStream): void {
  if (from !== null && from !== undefined && 'read' in from) from.pipe(to, { end: false });
}

async function textOf(stream: ChildProcess['stdio'][number] | undefined): Promise<string> {
  let text = '';
  if (stream === null || stream === undefined || !('read' in stream)) return text;
  for await (const chunk of stream) text += (chunk as Buffer).toString('utf8');
  return text;
}

function statusOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(
        new OsimageError(
          'NO_ROOT',
          codeOf(error) === 'ENOENT'
            ? 'setpriv is not installed; install the Debian package util-linux'
            : `setpriv cannot be started: ${error.message}; see that this user may run programs`,
          { cause: error },
        ),
      );
    });
    child.once('close', (status, signal) => resolve(status ?? (signal === 'SIGKILL' ? 137 : 128)));
  });
}

/** Kills the first process of the PID namespace, with which all others end; until there is one, what would make it. */
function killAll(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  try {
    const inside = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
    const first = Number(inside[0] ?? '');
    process.kill(first > 0 ? first : pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL'); // it has ended, or /proc does not say what it made
  }
}

function refused({ unprivileged }: ContainedScript, text: string): OsimageError {
  const said = text.trim().split('\n').at(-1) ?? '';
  const mend = unprivileged
    ? 'allow this user user namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns), or run the command as root'
    : 'run it where root may make namespaces and mount: not in a container without these rights';
  return new OsimageError(
    'NO_ROOT',
    `the image cannot be made a root directory: ${said || 'no reason given'}; ${mend}`,
  );
}
