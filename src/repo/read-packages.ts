import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RepoError } from './errors.js';
import { filesBelow, type RepoFiles } from './files.js';
import { lastLine, output, run } from './program.js';

/**
 * Reads the packages at `hrefs` below `dir` with createrepo_c and calls `body` with the metadata of just these, in the order
 * given. Throws RepoError BAD_PACKAGE naming, by `named`, a file that is no package, MISSING_TOOL.
 */
export async function withFreshMetadata<T>(
  dir: string,
  hrefs: readonly string[],
  body: (fresh: RepoFiles) => Promise<T>,
  named?: (href: string) => string,
): Promise<T> {
  const reading = startReading(dir, hrefs, named);
  try {
    return await body(await reading.metadata);
  } finally {
    await reading.end();
  }
}

/** Packages that are being read. Whoever starts it must call `end`. */
export interface Reading {
  readonly hrefs: readonly string[];
  readonly metadata: Promise<RepoFiles>; // of just these, in their order
  /** Ends it, wherever it is, and removes the metadata. */
  end(): Promise<void>;
}

/** Begins what `withFreshMetadata` does; `metadata` rejects with what that throws. */
export function startReading(
  dir: string,
  hrefs: readonly string[],
  named: (href: string) => string = (href) => path.join(dir, href),
): Reading {
  const ending = new AbortController();
  const making = mkdtemp(path.join(tmpdir(), 'rackboot-repo-'));
  const metadata = making.then((work) => readInto(work, dir, hrefs, named, ending.signal));
  metadata.catch(() => undefined); // met by whoever wants it
  return {
    hrefs,
    metadata,
    async end() {
      ending.abort();
      await metadata.catch(() => undefined);
      await rm(await making, { recursive: true, force: true });
    },
  };
}

async function readInto(
  work: string,
  dir: string,
  hrefs: readonly string[],
  named: (href: string) => string,
  signal: AbortSignal,
): Promise<RepoFiles> {
  const list = path.join(work, 'packages');
  const out = path.join(work, 'out');
  await mkdir(out);
  await writeFile(list, hrefs.map((href) => `${href}\n`).join(''));
  const args = [
    '--no-database',
    '--general-compress-type=gz', // what installers decompress; newer releases of it would choose zstd
    '--checksum=sha256', // the one type whose packages installers verify
    '--repomd-checksum=sha256',
    `--pkglist=${list}`,
    `--outputdir=${out}`,
    dir,
  ];
  const { code, stderr } = await run({ program: 'createrepo_c', args, package: 'createrepo-c', signal });
  const complaint = stderr.split('\n').find((line) => COMPLAINT.test(line));
  if (complaint === undefined && code === 0) return filesBelow(out);
  const href = hrefs.find((each) => complaint?.includes(`${asPrinted(path.join(dir, each))}:`));
  if (href === undefined)
    throw new RepoError('TOOL_FAILED', `createrepo_c failed: ${complaint ?? lastLine(stderr)}`);
  throw new RepoError(
    'BAD_PACKAGE',
    `${named(href)}: not an RPM that can be read; fetch it again or remove it`,
  );
}

/** What createrepo_c says of a package that it cannot read, and passes over. */
const COMPLAINT = /Cannot (?:process|read) package|C_CREATEREPOLIB: Warning: .*\.rpm/;

/** A name as createrepo_c prints it, which knows ASCII only. */
const asPrinted = (href: string): string => href.replace(/[^\0-\x7f]/gu, '?');

/** Which createrepo_c this machine has: what it writes depends on it. Throws RepoError MISSING_TOOL, TOOL_FAILED. */
export async function createrepoVersion(): Promise<string> {
  const said = await output({ program: 'createrepo_c', args: ['--version'], package: 'createrepo-c' });
  return `createrepo_c ${/\d[\d.]*/.exec(said)?.[0] ?? said.trim()}`;
}
