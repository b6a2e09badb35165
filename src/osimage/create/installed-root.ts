import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { canonicalPath, type ArchivePath } from '../../image/cpio/path.js';
import { MOUNT_PROC_AND_DEV, runContained, WITHOUT_MACHINE, type CommandEnd } from '../edit/contained.js';
import { OsimageError } from '../errors.js';
import { identitiesOf } from './identities.js';
import { dnfError, rpmError, WORK_IN_ROOT } from './package-manager.js';
import { parseHeaders, type RpmHeader } from './rpm-headers.js';
import {
  failedPackages,
  failedScripts,
  foreignFile,
  warningsOf,
  type FailedScript,
} from './transaction-log.js';

/** Packages to be installed into an empty directory. */
export interface InstallRequest {
  readonly work: string; // a scratch directory, absolute
  readonly dnf: readonly string[]; // arguments of layPackageManager
  readonly packages: readonly string[];
  readonly erased: readonly string[]; // names that are taken out again, whatever needs them
  readonly acceptsFailedScripts: boolean;
  readonly user: { readonly uid: number; readonly gid: number }; // of this process
  readonly env: Readonly<Record<string, string>>; // of dnf and of the packages' scripts
  readonly signal: AbortSignal;
  /** Told of every line that dnf prints. */
  readonly onLine: (line: string) => void;
}

/** Who owns a file of a root, whatever the disk says, and its permissions. */
export interface Ownership {
  readonly mode: number; // permission bits
  readonly uid: number;
  readonly gid: number;
}

/** A root file system that packages were installed into. */
export interface InstalledRoot {
  readonly dir: string;
  readonly owners: ReadonlyMap<ArchivePath, Ownership>;
  readonly headers: readonly RpmHeader[]; // of its packages; the database itself is gone
  readonly notes: readonly string[];
}

/** Directories that packages of the system bring, and that are mounted on while packages are installed: ours to make. */
const MOUNTED: Readonly<Record<string, number>> = { dev: 0o755, proc: 0o555, sys: 0o555 };

/**
 * Where rpm keeps its database: Debian's would lie in the user's home. Signatures are checked by dnf, before. What is mounted
 * is left to us: chown of /proc fails in a user namespace, and with it the package that brings the directory.
 */
const MACROS = `%_dbpath /var/lib/rpm
%_pkgverify_level digest
%_netsharedpath ${Object.keys(MOUNTED)
  .map((name) => `/${name}`)
  .join(':')}
`;

const MOUNTS = `root=$1 macros=$2 work=$3
shift 3
[ -d /usr/lib/rpm/macros.d ] || { echo 'rpm is not installed; apt-get install rpm' >&2; exit 1; }
mount --bind "$macros" /usr/lib/rpm/macros.d
${MOUNT_PROC_AND_DEV}`;

const FETCH = `${WITHOUT_MACHINE} dnf "$@"`;

/** By rpm, and not by dnf: that ends well when packages and scripts fail, and often does not say why (dnf 4.14). */
const INSTALL = `cd "$work/packages"
${WITHOUT_MACHINE} rpm --force-debian --root "$root" --install --verbose *.rpm`;

/** Everything in the root but what is mounted in it. */
const OWN = `own() { find "$root" -xdev '(' -path "$root/proc" -o -path "$root/dev" ')' -prune -o "$@"; }`;

/** Gives everything to the one who runs this, who can read and remove it then. */
const GIVE_UP = `own -exec chown -h 0:0 {} +
own -type d -exec chmod u+rwx {} +
own -type f -exec chmod u+rw {} +`;

/** $owned: whether owners are given up once they are taken down. */
const FINISH = `owned=$1
shift
rm -rf "$root/${WORK_IN_ROOT}"
for name in "$@"; do
  if rpm --root "$root" -q --quiet "$name"; then
    ${WITHOUT_MACHINE} rpm --force-debian --root "$root" --nodeps --allmatches --erase "$name"
  fi
done
rpmdb --root "$root" --exportdb > "$work/headers"
rm -rf "$root/var/lib/rpm"
mkdir -m 755 "$root/var/lib/rpm"
rmdir "$root/etc/dnf/modules.d" "$root/etc/dnf" 2>/dev/null || :
${OWN}
own -printf '%m %U %G %P\\0' > "$work/owners"
[ -z "$owned" ] || {
${GIVE_UP}
chmod a+r "$work/owners" "$work/headers"
}`;

/**
 * Installs packages with dnf, as root or as root of a user namespace, in a mount namespace of its own. Throws RepoError for
 * what dnf refuses, OsimageError COMMAND_FAILED for a package's script that fails, NO_ROOT.
 */
export async function installRoot(request: InstallRequest): Promise<InstalledRoot> {
  const { work } = request;
  const root = path.join(work, 'root');
  const macros = path.join(work, 'macros.d');
  await mkdir(macros, { recursive: true });
  await writeFile(path.join(macros, 'macros.rackboot'), MACROS);
  for (const name of Object.keys(MOUNTED)) await mkdir(path.join(root, name), { recursive: true });
  await chmod(root, 0o755);
  const notes = await installed(request, root, macros);
  const headers = parseHeaders(await readFile(path.join(work, 'headers')));
  const owners = parseOwners(await readFile(path.join(work, 'owners'), 'latin1'));
  for (const [name, mode] of Object.entries(MOUNTED))
    owners.set(canonicalPath(name), { mode, uid: 0, gid: 0 });
  return { dir: root, owners, headers, notes };
}

async function installed(request: InstallRequest, root: string, macros: string): Promise<string[]> {
  try {
    const notes = await install(request, root, macros);
    await finish(request, root, macros);
    return notes;
  } catch (error) {
    if (request.user.uid !== 0) await giveUp(request, root, macros);
    throw error;
  }
}

/** What belongs to other users of the namespace could not be removed by this one. */
async function giveUp(request: InstallRequest, root: string, macros: string): Promise<void> {
  const args = [root, macros, request.work];
  const signal = new AbortController().signal; // also where the one of the request has come
  const nowhere = new Lines(() => undefined);
  await contained({ ...request, signal }, { body: `${OWN}\n${GIVE_UP}`, args }, nowhere, nowhere).catch(
    () => undefined, // the failure before it is what counts
  );
}

/** Installs the packages; what was odd but is accepted. */
async function install(request: InstallRequest, root: string, macros: string): Promise<string[]> {
  const { work, dnf, packages, acceptsFailedScripts, onLine } = request;
  const [out, errors] = [new Lines(onLine), new Lines(onLine)];
  const given = [root, macros, work];
  const only = [`--installroot=${root}`, '--downloadonly', `--destdir=${path.join(work, 'packages')}`];
  const fetch = { body: FETCH, args: [...given, ...dnf, ...only, 'install', ...packages] };
  if (!succeeded(await contained(request, fetch, out, errors)))
    throw dnfError('the packages cannot be installed', errors.text.trim() === '' ? out.text : errors.text);
  const said = new Lines(onLine);
  const end = await contained(request, { body: INSTALL, args: given }, said, said);
  const ended = succeeded(end);
  const broken = failedPackages(said.text);
  const foreign = foreignFile(said.text);
  if (foreign !== undefined && request.user.uid !== 0) throw foreignOwner(foreign);
  const scripts = failedScripts(said.text);
  const [script] = scripts;
  if (script !== undefined && (!acceptsFailedScripts || broken.length > 0)) throw scriptError(script);
  if (broken.length > 0 || (!ended && scripts.length === 0))
    throw rpmError(broken.length > 0 ? broken.join(', ') : 'the packages', said.text);
  return [...scripts.map(({ text }) => `${text}; accepted`), ...warningsOf(said.text)];
}

async function finish(request: InstallRequest, root: string, macros: string): Promise<void> {
  const errors = new Lines(request.onLine);
  const owned = request.user.uid === 0 ? '' : 'owned';
  const args = [root, macros, request.work, owned, ...request.erased];
  const end = await contained(request, { body: FINISH, args }, errors, errors);
  const [script] = failedScripts(errors.text);
  if (script !== undefined && !request.acceptsFailedScripts) throw scriptError(script);
  if (!succeeded(end)) throw rpmError('the packages', errors.text);
}

function contained(
  { user, env, signal }: InstallRequest,
  script: { readonly body: string; readonly args: readonly string[] },
  stdout: Writable,
  stderr: Writable,
): Promise<CommandEnd> {
  return runContained({
    ...{ mounts: MOUNTS, network: true, unprivileged: user.uid !== 0, stdout, stderr, signal },
    ...script,
    ...(user.uid === 0 ? {} : identitiesOf(user.uid)),
    env: { PYTHONHASHSEED: '0', TERM: 'dumb', ...env },
  });
}

function succeeded(end: CommandEnd): boolean {
  if (end.kind === 'aborted') throw interrupted();
  return end.status === 0;
}

/** Throws OsimageError COMMAND_FAILED once `signal` has come. */
export function requireRunning(signal: AbortSignal): void {
  if (signal.aborted) throw interrupted();
}

const interrupted = (): OsimageError =>
  new OsimageError('COMMAND_FAILED', 'image create was interrupted; nothing is left of it, run it again');

function scriptError({ package: name, text }: FailedScript): OsimageError {
  return new OsimageError(
    'COMMAND_FAILED',
    `${text}; mend the package ${name}, or leave it out of packages.lst; --accept-failed-scripts goes on`,
  );
}

function foreignOwner(file: string): OsimageError {
  return new OsimageError(
    'NO_ROOT',
    `${file}: a package gives it to another user than root, or it is a device; run image create as root, or give this user identities in /etc/subuid and /etc/subgid and install the Debian package uidmap`,
  );
}

/** `%m %U %G %P` of find -printf, each ended by a zero byte. */
function parseOwners(text: string): Map<ArchivePath, Ownership> {
  const owners = new Map<ArchivePath, Ownership>();
  for (const record of text.split('\0')) {
    const [, mode, uid, gid, name] = /^(\d+) (\d+) (\d+) ([^]*)$/.exec(record) ?? [];
    if (mode === undefined || name === undefined || name === '') continue;
    owners.set(canonicalPath(name), { mode: parseInt(mode, 8), uid: Number(uid), gid: Number(gid) });
  }
  return owners;
}

const KEPT = 1 << 20; // characters of output

/** The end of what a program prints, handed on by the line. */
class Lines extends Writable {
  text = '';
  #open = '';
  readonly #onLine: (line: string) => void;

  constructor(onLine: (line: string) => void) {
    super({ decodeStrings: true });
    this.#onLine = onLine;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const text = chunk.toString('utf8');
    this.text = (this.text + text).slice(-KEPT);
    const lines = (this.#open + text).split(/\r?\n|\r/);
    this.#open = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') this.#onLine(line.trim());
    done();
  }
}
