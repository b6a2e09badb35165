import { copyFile, lstat, mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../errors.js';
import { isDirectory, isRegular } from '../../image/cpio/header.js';
import { joinPath, parentOf, pathToText, ROOT } from '../../image/cpio/path.js';
import { ImageError } from '../../image/errors.js';
import { encodeSnapshot } from '../../image/layer.js';
import { placeEntries } from '../../image/unpacked/placement.js';
import { onDisk, unpackInto } from '../../image/unpacked/unpack.js';
import type { Store } from '../../store/records.js';
import { addAdHocEdit } from '../ad-hoc.js';
import { buildGeneration, type BuildResult } from '../build.js';
import { openArchive, type OpenArchive } from '../contents.js';
import { OsimageError } from '../errors.js';
import { findGeneration } from '../find.js';
import { manifestOf } from '../manifest.js';
import type { GenerationInputs, GenerationManifest } from '../types.js';
import { fileClock, takeBaseline } from './baseline.js';
import { commandText } from './command-text.js';
import {
  findDifference,
  isEmpty,
  storeDifference,
  type TreeDifference,
  type UnpackedTree,
} from './difference.js';
import type { CommandEnd } from './contained.js';
import { runInRoot, type RootedCommand } from './rooted-command.js';
import { whyNotRun } from './why-not-run.js';

/** A command to run in an image. */
export interface EditRequest {
  readonly osimage: string;
  /** The archive that is to be the command's root. */
  readonly archiveOf: (manifest: GenerationManifest) => { readonly archive: string; readonly part?: number };
  readonly argv: readonly string[] | 'shell';
  readonly network: boolean;
  readonly user: { readonly uid: number; readonly gid: number }; // of this process
  readonly epoch?: number; // of new entries, seconds
  readonly note: (line: string) => void; // hears what of the change is lost
  readonly terminal: Pick<RootedCommand, 'term' | 'stdout' | 'stderr' | 'signal'>;
}

/** What became of an edit: undefined when the command changed nothing. */
export type EditResult = BuildResult | undefined;

/** The shells that `--shell` looks for in an image. */
const SHELLS = ['bin/bash', 'usr/bin/bash', 'bin/sh', 'usr/bin/sh'].map((name) => joinPath(ROOT, name));

/**
 * Unpacks an archive of the current generation into the store's scratch, runs a command with it as its root, and
 * publishes what the command changed as one generation. Throws OsimageError COMMAND_FAILED when it ends with another
 * status than 0 (a shell: when it is killed), NO_ROOT, ImageError; then nothing is published.
 */
export async function editImage(store: Store, request: EditRequest): Promise<EditResult> {
  const record = await findGeneration(store, request.osimage);
  return store.read('image edit', [record], () =>
    store.scratch(async (scratch) => {
      const into = request.archiveOf(manifestOf(record));
      const opened = await openArchive(store, manifestOf(record), into.archive, into.part);
      const argv = request.argv === 'shell' ? [shellOf(opened)] : request.argv;
      const isShell = request.argv === 'shell';
      const command = isShell ? '--shell' : commandText(argv);
      const difference = await changesOf(opened, argv, command, scratch, request);
      for (const line of difference.notes) request.note(line);
      if (isEmpty(difference)) return undefined;
      return buildGeneration(store, {
        osimage: request.osimage,
        note: isShell ? `edit ${command}` : `edit -- ${command}`,
        change: async (current, writer): Promise<GenerationInputs> => {
          const snapshot = await storeDifference(difference, writer);
          const changes = await writer.put(encodeSnapshot(snapshot));
          const { inputs } = current.manifest;
          return {
            ...inputs,
            ...(request.epoch === undefined ? {} : { epoch: request.epoch }),
            edits: addAdHocEdit(inputs.edits, { op: 'edit', ...into, command, changes }),
          };
        },
      });
    }),
  );
}

async function changesOf(
  opened: OpenArchive,
  argv: readonly string[],
  command: string,
  scratch: string,
  request: EditRequest,
): Promise<TreeDifference> {
  const root = path.join(scratch, 'root');
  const privileged = request.user.uid === 0;
  const placed = placeEntries(opened.entries);
  const read: UnpackedTree['read'] = (entry) => opened.read(entry);
  await unpackInto(root, placed, { read, privileged });
  for (const name of ['dev', 'proc']) await makeMountPoint(root, name);
  const network = request.network ? await placeResolvConf(root, opened, scratch) : undefined;
  const baseline = await takeBaseline(root, scratch);
  const end = await runInRoot({
    ...{ root, argv, unprivileged: !privileged, ...request.terminal },
    ...(network === undefined ? {} : { network }),
  });
  const why = end.kind === 'ended' && end.status === 127 ? await whyNotRun(argv[0] ?? '', opened) : undefined;
  requireSuccess(end, command, request.argv === 'shell', why);
  return findDifference({
    ...{ root, placed, read, baseline, ended: await fileClock(scratch) },
    holdsAttributes: opened.entries.some(({ tar }) => tar !== undefined),
    ...(privileged ? {} : { owner: request.user }),
  });
}

/** Makes a directory that something is to be mounted on, if the image has none. */
async function makeMountPoint(root: string, name: string): Promise<void> {
  const place = path.join(root, name);
  const info = await lstat(place).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (info === undefined) await mkdir(place, { mode: 0o755 });
  else if (!isDirectory(info.mode)) {
    throw new ImageError(
      'EDIT_CONFLICT',
      `/${name} is no directory in the image, so a command cannot be given its ${name} there; put one in its place`,
    );
  }
}

/** What this machine resolves names with, and where the image looks for that: a file is made there if none is. */
async function placeResolvConf(
  root: string,
  { tree }: OpenArchive,
  scratch: string,
): Promise<NonNullable<RootedCommand['network']>> {
  const resolvConf = path.join(scratch, 'resolv.conf');
  await copyFile('/etc/resolv.conf', resolvConf).catch(() => writeFile(resolvConf, ''));
  const at = tree.resolve(joinPath(ROOT, 'etc/resolv.conf'));
  try {
    await mkdir(onDisk(root, parentOf(at)), { recursive: true, mode: 0o755 });
    await (await open(onDisk(root, at), 'a', 0o644)).close();
  } catch (error) {
    throw new ImageError(
      'EDIT_CONFLICT',
      `${pathToText(at)} cannot be a file in the image (${codeOf(error) ?? 'unknown error'}), which --network needs; mend what stands there`,
      { cause: error },
    );
  }
  return { resolvConf, at: Buffer.from(at, 'latin1').toString('utf8') };
}

function shellOf({ tree }: OpenArchive): string {
  const shell = SHELLS.find((candidate) => {
    try {
      return isRegular(tree.find(candidate).header.mode);
    } catch {
      return false;
    }
  });
  if (shell !== undefined) return pathToText(shell);
  throw new ImageError(
    'NO_SUCH_ENTRY',
    `there is no shell in the image (looked for ${SHELLS.map(pathToText).join(', ')}); name the command to run after --`,
  );
}

/** Statuses of a shell that somebody killed: by SIGHUP, SIGKILL, SIGTERM. */
const KILLED = [129, 137, 143];

/** A shell's status is that of the last command typed, and says nothing of the others. */
function requireSuccess(end: CommandEnd, command: string, isShell: boolean, why?: string): void {
  if (end.kind === 'ended' && (isShell ? !KILLED.includes(end.status) : end.status === 0)) return;
  const what = end.kind === 'aborted' ? 'was interrupted' : `ended with ${endText(end.status, why)}`;
  throw new OsimageError(
    'COMMAND_FAILED',
    `${command}: ${what}; the image stays as it was, mend the command and run it again`,
  );
}

/** A status as a shell gives it, and `why` it is that, where more is known. */
function endText(status: number, why: string | undefined): string {
  if (why !== undefined) return `status ${status}: ${why}`;
  if (status === 126) return 'status 126: not a program that can be run';
  return status > 128 ? `status ${status}: killed by signal ${status - 128}` : `status ${status}`;
}
