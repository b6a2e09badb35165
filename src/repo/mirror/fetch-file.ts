import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { mkdir, open, rename, rm, utimes, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../../errors.js';
import { sha256 } from '../../store/digest.js';
import { RepoError } from '../errors.js';
import { noAccess } from '../files.js';
import type { WantedFile } from './plan.js';
import type { Received, Receivers } from './receivers.js';
import type { MirrorSource } from './source.js';
import type { MirrorState } from './state.js';

/** Where parts of files lie that are not complete, in the destination. */
export const PARTIAL = '.rackboot-mirror-partial';

const WRITE = 1 << 20; // bytes at one time
const ATTEMPTS = 4; // after each break the rest is asked for

type FileState = MirrorState['files'][string];

/** What became of a file: it is there as it was, it was fetched, or the source has none (of those that need not be). */
export type Fetched =
  | { readonly kind: 'kept' | 'fetched'; readonly state: FileState; readonly bytes: number }
  | { readonly kind: 'missing' };

/**
 * Brings one file of a mirror up to date. What metadata states of it is checked; a fetch that broke off goes on where it
 * ended, also in a later run. `receivers` fetch what they can. Throws RepoError FETCH_FAILED, NO_ACCESS.
 */
export async function fetchFile(
  source: MirrorSource,
  dir: string,
  wanted: WantedFile,
  known: FileState | undefined,
  receivers?: Receivers,
): Promise<Fetched> {
  const file = path.join(dir, wanted.href);
  const present = factsOf(file);
  const isKnown = present !== undefined && known?.size === present.size && known.time === present.time;
  if (
    present !== undefined &&
    wanted.sha256 !== undefined &&
    (wanted.size ?? present.size) === present.size
  ) {
    const digest = isKnown && known.sha256 !== undefined ? known.sha256 : await digestOf(file);
    if (digest === wanted.sha256) return { kind: 'kept', state: { ...present, sha256: digest }, bytes: 0 };
  }
  // Of the path too: several repositories may list one package, and be fetched at one time.
  const partial = path.join(dir, PARTIAL, sha256(`${wanted.sha256 ?? ''} ${wanted.href}`));
  const unless = isKnown && wanted.sha256 === undefined ? known.validator : undefined;
  const received = await receive(source, wanted, receivers, partial, file);
  if (received?.kind === 'placed') {
    const { size = 0, sha256 } = wanted;
    return {
      kind: 'fetched',
      state: { size, time: received.time, ...(sha256 === undefined ? {} : { sha256 }) },
      bytes: size,
    };
  }
  for (let attempt = received === undefined ? 1 : 2; ; attempt++) {
    const outcome = await fetchOnce(source, wanted, partial, unless);
    if (outcome.kind === 'same' && present !== undefined)
      return {
        kind: 'kept',
        state: { ...present, ...(unless === undefined ? {} : { validator: unless }) },
        bytes: 0,
      };
    if (outcome.kind === 'complete') {
      await place(partial, file, outcome.modified);
      const { validator } = outcome;
      const proof =
        wanted.sha256 !== undefined
          ? { sha256: wanted.sha256 }
          : validator === undefined
            ? {}
            : { validator };
      return {
        kind: 'fetched',
        state: { ...(factsOf(file) ?? { size: 0, time: 0 }), ...proof },
        bytes: outcome.bytes,
      };
    }
    if (outcome.kind === 'missing' && (wanted.phase === 'other' || wanted.phase === 'index'))
      return { kind: 'missing' };
    const where = `${source.files.where}/${wanted.href}`;
    if (outcome.kind === 'missing')
      throw new RepoError(
        'FETCH_FAILED',
        `${where}: listed by the metadata, but not there; run this again when the source is whole`,
      );
    if (attempt < ATTEMPTS && (outcome.kind === 'broken' || attempt === 1)) continue;
    const why =
      outcome.kind === 'broken'
        ? outcome.why
        : 'not the file that the metadata means; the source may be changing just now';
    throw new RepoError('FETCH_FAILED', `${where}: ${why}; run this again, and it goes on where it ended`);
  }
}

/** Has a file fetched whole of which all is known and nothing is there; undefined where it is to be fetched otherwise. */
async function receive(
  source: MirrorSource,
  { href, size, sha256 }: WantedFile,
  receivers: Receivers | undefined,
  partial: string,
  file: string,
): Promise<Received | undefined> {
  if (receivers === undefined || size === undefined || sha256 === undefined) return undefined;
  if (factsOf(partial) !== undefined) return undefined;
  const received = await receivers.receive(source.urlOf(href), { partial, file, size, sha256 });
  if (received?.kind === 'refused')
    throw noAccess(received.place, Object.assign(new Error(received.code), { code: received.code }));
  return received;
}

type Outcome =
  | {
      readonly kind: 'complete';
      readonly bytes: number;
      readonly modified?: number;
      readonly validator?: string;
    }
  | { readonly kind: 'same' | 'missing' | 'wrong' }
  | { readonly kind: 'broken'; readonly why: string };

async function fetchOnce(
  source: MirrorSource,
  wanted: WantedFile,
  partial: string,
  unless: string | undefined,
): Promise<Outcome> {
  // A part may only be continued where the digest tells whether both parts are of one file.
  const begun = wanted.sha256 === undefined ? undefined : factsOf(partial);
  const offset = begun === undefined || begun.size > (wanted.size ?? begun.size) ? 0 : begun.size;
  const begin = createHash('sha256');
  if (offset > 0) for await (const chunk of createReadStream(partial)) begin.update(chunk as Buffer);
  const sent = await source.fetch(wanted.href, { offset, ...(unless === undefined ? {} : { unless }) });
  if (sent.kind !== 'bytes') return { kind: sent.kind };
  const hash = sent.offset > 0 ? begin : createHash('sha256');
  let bytes = 0;
  const file = await open(partial, sent.offset > 0 ? 'a' : 'w').catch((error: unknown) => {
    throw noAccess(partial, error);
  });
  let pending: Buffer[] = [];
  let held = 0;
  const flush = async (): Promise<void> => {
    if (held === 0) return;
    await writeAll(file, pending).catch((error: unknown) => {
      throw noAccess(partial, error);
    });
    [pending, held] = [[], 0];
  };
  try {
    for await (const chunk of sent.body) {
      hash.update(chunk);
      pending.push(chunk);
      bytes += chunk.length;
      held += chunk.length;
      if (held >= WRITE) await flush();
    }
  } catch (error) {
    await flush();
    return { kind: 'broken', why: messageOf(error) };
  } finally {
    await flush().finally(() => file.close());
  }
  const complete = {
    kind: 'complete',
    bytes,
    ...(sent.modified === undefined ? {} : { modified: sent.modified }),
    ...(sent.validator === undefined ? {} : { validator: sent.validator }),
  } as const;
  if (wanted.sha256 === undefined) return complete;
  const size = sent.offset + bytes;
  if (wanted.size !== undefined && size < wanted.size) return { kind: 'broken', why: 'it ends early' };
  if (hash.digest('hex') === wanted.sha256) return complete;
  await rm(partial, { force: true });
  return { kind: 'wrong' };
}

/** Writes `chunks` behind what was written, without putting them together first. */
async function writeAll(file: FileHandle, chunks: readonly Buffer[]): Promise<void> {
  let { bytesWritten: done } = await file.writev(chunks);
  for (const chunk of chunks) {
    if (done < chunk.length) await file.writeFile(chunk.subarray(done));
    done = Math.max(0, done - chunk.length);
  }
}

async function place(partial: string, file: string, modified: number | undefined): Promise<void> {
  try {
    if (modified !== undefined) await utimes(partial, modified, modified);
    await mkdir(path.dirname(file), { recursive: true });
    await rename(partial, file);
  } catch (error) {
    throw noAccess(file, error);
  }
}

/** Without another thread: it is asked for thousands of files, and takes less time than a thread is told in. */
function factsOf(file: string): { size: number; time: number } | undefined {
  try {
    const info = statSync(file, { throwIfNoEntry: false });
    return info?.isFile() === true ? { size: info.size, time: Math.floor(info.mtimeMs / 1000) } : undefined;
  } catch {
    return undefined;
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
