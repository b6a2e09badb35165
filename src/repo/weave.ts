import { RepoError } from './errors.js';
import type { PackageList } from './metadata.js';
import { packagesOf } from './package-stream.js';
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

/** The order of two sequences that are sorted by location, together; `old` comes first where both are at one place. */
export function planSteps(old: readonly Strand[], fresh: readonly Strand[]): Step[] {
  const steps: Step[] = [];
  let next = 0;
  const take = (from: Step['from'], { keep, pkgid }: Strand): void => void steps.push({ from, keep, pkgid });
  for (const strand of old) {
    while (strand.keep && next < fresh.length) {
      const candidate = fresh[next];
      if (candidate === undefined || candidate.href >= strand.href) break;
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
    old: packagesOf(threads.old.source, threads.old.where),
    fresh: packagesOf(threads.fresh.source, threads.fresh.where),
  };
  try {
    let pending: Buffer[] = [
      Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n<${root} ${namespaces} packages="${count}">\n`),
    ];
    let size = 0;
    for (const { from, keep, pkgid } of steps) {
      const next: IteratorResult<Buffer, unknown> = await packages[from].next();
      if (next.done === true || (type !== 'primary' && pkgidOf(next.value) !== pkgid))
        throw outOfStep(threads[from].where);
      if (!keep) continue;
      const fragment = edit(next.value, from);
      pending.push(fragment, NEWLINE);
      size += fragment.length;
      if (size < BATCH) continue;
      yield Buffer.concat(pending);
      [pending, size] = [[], 0];
    }
    for (const from of ['old', 'fresh'] as const) {
      // To the end: only there it shows whether it is the file that repomd.xml means.
      const { done } = await packages[from].next();
      if (done !== true) throw outOfStep(threads[from].where);
    }
    yield Buffer.concat([...pending, Buffer.from(`</${root}>\n`)]);
  } finally {
    await packages.old.return(undefined);
    await packages.fresh.return(undefined);
  }
}

const NEWLINE = Buffer.from('\n');
const BATCH = 256 * 1024; // bytes

function outOfStep(where: string): RepoError {
  return new RepoError(
    'BAD_METADATA',
    `${where}: does not list the packages that primary lists, in its order; build it again with: rackboot repo build --full`,
  );
}

function pkgidOf(fragment: Buffer): string | undefined {
  const tag = fragment.toString('utf8', 0, fragment.indexOf(0x3e));
  return attributeOf(tag, 'pkgid')?.toLowerCase();
}
