import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { codeOf } from '../../errors.js';
import { RepoError } from '../errors.js';
import { noAccess } from '../files.js';
import { exclusion } from './exclusion.js';

/** What a mirror writes down of itself, in its destination. */
export const STATE_FILE = '.rackboot-mirror.json';

const stateSchema = z.object({
  version: z.literal(1),
  source: z.string(), // without credentials
  exclude: z.array(z.string()), // regular expressions
  /**
   * By path, the files that are the mirror’s: size in bytes and time in seconds as they were when they were checked, and what
   * tells whether the source has another: the digest of the metadata, or the source’s validator.
   */
  files: z.record(
    z.string(),
    z.object({
      size: z.number(),
      time: z.number(),
      sha256: z.string().optional(),
      validator: z.string().optional(),
    }),
  ),
});

/** What is known of a mirror. */
export type MirrorState = z.output<typeof stateSchema>;

/** The state of the mirror in a directory, or undefined where there is none. Throws RepoError NOT_A_MIRROR, NO_ACCESS. */
export async function readState(dir: string): Promise<MirrorState | undefined> {
  const file = path.join(dir, STATE_FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined;
    throw noAccess(file, error);
  }
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new RepoError(
      'NOT_A_MIRROR',
      `${file}: cannot be read as a mirror’s list of files; remove it, and files that vanished will stay`,
      {
        cause,
      },
    );
  }
}

/** Writes the state of the mirror in a directory. Throws RepoError NO_ACCESS. */
export async function writeState(dir: string, state: MirrorState): Promise<void> {
  const file = path.join(dir, STATE_FILE);
  try {
    await writeFile(`${file}.new`, `${JSON.stringify(state)}\n`, { flush: true });
    await rename(`${file}.new`, file);
  } catch (error) {
    throw noAccess(file, error);
  }
}

/**
 * What the mirror that a directory lies in leaves out, as a test of paths below that directory; undefined where it lies in
 * none. Throws RepoError NOT_A_MIRROR, NO_ACCESS.
 */
export async function leftOutOf(dir: string): Promise<((href: string) => boolean) | undefined> {
  for (let root = path.resolve(dir); ; root = path.dirname(root)) {
    const state = await readState(root);
    if (state !== undefined) {
      const prefix = path.relative(root, path.resolve(dir));
      const leavesOut = exclusion(state.exclude);
      return (href) => leavesOut(path.posix.join(prefix, href));
    }
    if (root === path.dirname(root)) return undefined;
  }
}
