import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { codeOf } from '../../errors.js';
import { OsimageError } from '../errors.js';

/** A command to run with a directory as its root. */
export interface RootedCommand {
  readonly root: string; // absolute; has directories dev and proc
  readonly argv: readonly string[]; // looked up in the root
  /** Gives it this machine's network, and a file to be seen at a path below the root (both there). Otherwise it has none. */
  readonly network?: { readonly resolvConf: string; readonly at: string };
  /** As root in a user namespace of its own, which needs no rights; else as root. */
  readonly unprivileged: boolean;
  readonly term: string; // $TERM
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly signal: AbortSignal; // kills it
}

/** How a command ended: a status as a shell gives it, 128 and more for a signal. */
export type CommandEnd = { readonly kind: 'ended'; readonly status: number } | { readonly kind: 'aborted' };

/** Written by the script once all is mounted: from then on the command has standard error. */
const READY = 'ready\n';

/**
 * Mounts in the namespace and runs the command. What fails before the command starts is told on descriptor 2, which the
 * command does not get. The shell stays the namespace's first process: when it ends, all others do.
 */
const SCRIPT = `set -e
umask 022
root=$1 resolv=$2 at=$3
shift 3
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,noexec,mode=755,size=1m dev "$root/dev"
for node in null zero full random urandom tty; do
  : > "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mkdir -m 1777 "$root/dev/shm"
[ -n "$resolv" ] || ip link set lo up 2>/dev/null || :
[ -z "$resolv" ] || mount --bind "$resolv" "$root/$at"
printf '${READY.trim()}\\n' >&2
exec 2>&3 3>&-
setpriv --bounding-set -sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog,-wake_alarm,-mac_admin -- chroot "$root" "$@"
`;

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs a command with a directory as its root, in mount, PID, IPC, UTS and, without network, network namespaces of its
 * own: nothing it mounts is seen outside, and all that it starts ends with it, also when this process is killed. Throws
 * OsimageError NO_ROOT when the system does not allow that.
 */
export async function runInRoot(command: RootedCommand): Promise<CommandEnd> {
  if (command.signal.aborted) return { kind: 'aborted' };
  const child = spawn('setpriv', argumentsOf(command), {
    env: {
      PATH,
      HOME: '/root',
      USER: 'root',
      LOGNAME: 'root',
      LANG: 'C.UTF-8',
      HISTFILE: '',
      TERM: command.term,
    },
    stdio: ['inherit', sink(command.stdout, 1), 'pipe', sink(command.stderr, 2)],
  });
  const abort = (): void => killAll(child);
  command.signal.addEventListener('abort', abort);
  try {
    forward(child.stdio[1], command.stdout);
    forward(child.stdio[3], command.stderr);
    const told = textOf(child.stdio[2]);
    const status = await statusOf(child);
    if (command.signal.aborted) return { kind: 'aborted' };
    const text = await told;
    if (!text.endsWith(READY)) throw refused(command, text);
    return { kind: 'ended', status };
  } finally {
    command.signal.removeEventListener('abort', abort);
  }
}

function argumentsOf({ root, argv, network, unprivileged }: RootedCommand): string[] {
  return [
    ...['--pdeathsig', 'KILL', '--', 'unshare'],
    ...(unprivileged ? ['--user', '--map-root-user'] : []),
    ...['--mount', '--pid', '--fork', '--kill-child=KILL', '--uts', '--ipc'],
    ...(network === undefined ? ['--net'] : []),
    ...['--', 'sh', '-c', SCRIPT, 'sh', root, network?.resolvConf ?? '', network?.at ?? '', ...argv],
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

function refused({ unprivileged }: RootedCommand, text: string): OsimageError {
  const said = text.trim().split('\n').at(-1) ?? '';
  const mend = unprivileged
    ? 'allow this user user namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns), or run the command as root'
    : 'run it where root may make namespaces and mount: not in a container without these rights';
  return new OsimageError(
    'NO_ROOT',
    `the image cannot be made a root directory: ${said || 'no reason given'}; ${mend}`,
  );
}
