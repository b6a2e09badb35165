import { MOUNT_PROC_AND_DEV, runContained, WITHOUT_MACHINE, type CommandEnd } from './contained.js';

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

const MOUNTS = `root=$1 resolv=$2 at=$3
shift 3
${MOUNT_PROC_AND_DEV}
[ -n "$resolv" ] || ip link set lo up 2>/dev/null || :
[ -z "$resolv" ] || mount --bind "$resolv" "$root/$at"`;

/** The shell stays the namespace's first process: when it ends, all others do. */
const BODY = `${WITHOUT_MACHINE} chroot "$root" "$@"`;

/**
 * Runs a command with a directory as its root, in namespaces of its own (runContained). Throws OsimageError NO_ROOT when
 * the system does not allow that.
 */
export function runInRoot(command: RootedCommand): Promise<CommandEnd> {
  const { root, argv, network, unprivileged, term, stdout, stderr, signal } = command;
  return runContained({
    ...{ mounts: MOUNTS, body: BODY, unprivileged, stdout, stderr, signal },
    args: [root, network?.resolvConf ?? '', network?.at ?? '', ...argv],
    network: network !== undefined,
    env: { HISTFILE: '', TERM: term },
  });
}
