import { join } from '../image/chunks.js';
import { RepoError } from './errors.js';
import type { PackageList } from './metadata.js';
import { inListingOrder } from './package-entry.js';
import { packageRuns } from './package-stream.js';
import { attributeOf } from './xml-text.js';

/** Where the next package of new metadata comes from: the next of the old metadata (kept or passed over), or of the fresh. */
export interface Step {
  readonly from: 'old' | 'fresh';
  readonly keep: boolean;
  readonly pkgid: string;
}

/** An entry to be woven: where it lies decides its place. */
export interface Strand {
  readonly href: string;
  readonly pkgid: string;
  readonly keep: boolean;
}

/** The order of two sequences that are in the order of a list, together; `old` comes first where both are at one place. */
export function planSteps(old: readonly Strand[], fresh: readonly Strand[]): Step[] {
  const steps: Step[] = [];
  let next = 0;
  const take = (from: Step['from'], { keep, pkgid }: Strand): void => void steps.push({ from, keep, pkgid });
  for (const strand of old) {
    while (strand.keep && next < fresh.length) {
      const candidate = fresh[next];
      if (candidate === undefined || inListingOrder(candidate.href, strand.href) >= 0) break;
      take('fresh', candidate);
      next++;
    }
    take('old', strand);
  }
  for (const strand of fresh.slice(next)) take('fresh', strand);
  return steps;
}

const FRAMES: Readonly<Record<PackageList, { readonly root: string; readonly namespaces: string }>> = {
  primary: {
    root: 'metadata',
    namespaces:
      'xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"',
  },
  filelists: { root: 'filelists', namespaces: 'xmlns="http://linux.duke.edu/metadata/filelists"' },
  other: { root: 'otherdata', namespaces: 'xmlns="http://linux.duke.edu/metadata/other"' },
};

/** Metadata to weave from: decompressed, and how messages name it. */
export interface Thread {
  readonly source: AsyncIterable<Buffer>;
  readonly where: string;
}

/**
 * The plain metadata of `type` that `steps` make of the old and the fresh. Throws RepoError BAD_METADATA when a source does
 * not list the packages in the order of its primary.
 */
export async function* weave(
  type: PackageList,
  steps: readonly Step[],
  threads: Readonly<Record<Step['from'], Thread>>,
  edit: (fragment: Buffer, from: Step['from']) => Buffer = (fragment) => fragment,
): AsyncGenerator<Buffer> {
  const { root, namespaces } = FRAMES[type];
  const count = steps.filter(({ keep }) => keep).length;
  const packages = {
    old: new Cursor(threads.old),
    fresh: new Cursor(threads.fresh),
  };
  try {
    // A piece of its own: the count changes more often than anything else.
    yield Buffer.from(
      `<?xml version="1.0" encoding="UTF-8"?>\n<${root} ${namespaces} packages="${count}">\n`,
    );
    let strip = new Strip();
    for (const { from, keep, pkgid } of steps) {
      const next = packages[from].next() ?? (await packages[from].refilled());
      if (next === undefined || (type !== 'primary' && !isOf(next, pkgid)))
        throw outOfStep(threads[from].where);
      if (!keep) continue;
      strip.add(edit(next, from));
      if (!endsPiece(strip.length, pkgid)) continue;
      yield strip.bytes();
      strip = new Strip();
    }
    for (const from of ['old', 'fresh'] as const) {
      // To the end: only there it shows whether it is the file that repomd.xml means.
      if ((packages[from].next() ?? (await packages[from].refilled())) !== undefined)
        throw outOfStep(threads[from].where);
    }
    if (strip.length > 0) yield strip.bytes();
    yield Buffer.from(`</${root}>\n`);
  } finally {
    await packages.old.close();
    await packages.fresh.close();
  }
}

const LEAST = 128 * 1024; // bytes of a piece
const MOST = 1024 * 1024;

/**
 * Whether a piece of `length` bytes ends after the package of this id. What decides is what lies there, and not where: after
 * a package that is added the pieces are soon the same again, and a list has the same pieces however it came about.
 */
function endsPiece(length: number, pkgid: string): boolean {
  return length >= MOST || (length >= LEAST && pkgid.endsWith('0'));
}

/** The packages of a thread, one after another. */
class Cursor {
  readonly #runs: AsyncGenerator<Buffer[]>;
  #run: readonly Buffer[] = [];
  #at = 0;

  constructor({ source, where }: Thread) {
    this.#runs = packageRuns(source, where);
  }

  /** The next package of those that were read; undefined when there are no more of them. */
  next(): Buffer | undefined {
    return this.#run[this.#at++];
  }

  /** The next package after more were read; undefined at the end. */
  async refilled(): Promise<Buffer | undefined> {
    const read: IteratorResult<Buffer[], unknown> = await this.#runs.next();
    if (read.done === true) return undefined;
    [this.#run, this.#at] = [read.value, 0];
    return this.next();
  }

  async close(): Promise<void> {
    await this.#runs.return(undefined);
  }
}

/** Packages one below the other, a line’s end after each. Those that lie so in memory are copied together. */
class Strip {
  readonly #parts: Buffer[] = [];
  #memory: Uint8Array = new Uint8Array(); // where the packages lie that are to be copied next, and from where to where
  #start = 0;
  #end = 0;
  length = 0; // bytes

  add(fragment: Buffer): void {
    const { byteOffset, length } = fragment;
    const buffer: ArrayBufferLike = fragment.buffer;
    this.length += length + 1;
    const isNext =
      this.#memory.buffer === buffer && byteOffset === this.#end + 1 && this.#memory[this.#end] === LINE_END;
    if (!isNext) {
      this.#take();
      this.#memory = new Uint8Array(buffer);
      this.#start = byteOffset;
    }
    this.#end = byteOffset + length;
  }

  bytes(): Buffer {
    this.#take();
    return join(this.#parts);
  }

  #take(): void {
    if (this.#end === 0) return;
    const { byteLength } = this.#memory;
    // What lies behind it in memory that small buffers share may change.
    const isOurs = byteLength > Buffer.poolSize && this.#memory[this.#end] === LINE_END;
    const length = this.#end - this.#start + (isOurs ? 1 : 0);
    this.#parts.push(Buffer.from(this.#memory.buffer, this.#start, length));
    if (!isOurs) this.#parts.push(NEWLINE);
    this.#end = 0;
  }
}

const LINE_END = 0x0a;
const NEWLINE = Buffer.from('\n');

function outOfStep(where: string): RepoError {
  return new RepoError(
    'BAD_METADATA',
    `${where}: does not list the packages that primary lists, in its order; build it again with: rackboot repo build --full`,
  );
}

const PKGID = '<package pkgid="';

/** Whether a package of filelists or other is that of `pkgid`; createrepo_c writes the id first. */
function isOf(fragment: Buffer, pkgid: string): boolean {
  const start = fragment.toString('latin1', 0, PKGID.length + pkgid.length + 1);
  return start === `${PKGID}${pkgid}"` || pkgidOf(fragment) === pkgid;
}

function pkgidOf(fragment: Buffer): string | undefined {
  const tag = fragment.toString('utf8', 0, fragment.indexOf(0x3e));
  return attributeOf(tag, 'pkgid')?.toLowerCase();
}
