import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { RepoError } from './errors.js';
import { noAccess } from './files.js';
import { inListingOrder } from './package-entry.js';

/** A package file as the file system knows it. */
export interface FoundPackage {
  readonly size: number;
  readonly time: number; // seconds
  readonly changed: number; // milliseconds; when its bytes, its name or its time were last changed
}

/**
 * The packages below a directory, in the order of a list; not those in directories whose names begin with a dot. Throws
 * RepoError NO_ACCESS, and BAD_PACKAGE for a name that metadata cannot hold.
 */
export async function findPackages(dir: string): Promise<Map<string, FoundPackage>> {
  const names: string[] = [];
  const walk = async (below: string): Promise<void> => {
    for (const entry of await readdir(path.join(dir, below), { withFileTypes: true })) {
      const href = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && href !== 'repodata') await walk(href);
      } else if (entry.name.endsWith('.rpm') && !entry.name.startsWith('.')) {
        if (/[\n\\\uFFFD]/.test(href))
          throw new RepoError(
            'BAD_PACKAGE',
            `${JSON.stringify(path.join(dir, href))}: a name that metadata cannot hold; rename it`,
          );
        names.push(href);
      }
    }
  };
  await walk('').catch((error: unknown) => {
    throw error instanceof RepoError ? error : noAccess(dir, error);
  });
  const found = new Map<string, FoundPackage>();
  for (const [index, href] of names.sort(inListingOrder).entries()) {
    if (index % FILES_A_TURN === FILES_A_TURN - 1) await nextTurn();
    found.set(href, factsOf(path.join(dir, href)));
  }
  return found;
}

/** Packages looked at in one turn of the event loop: each takes microseconds, and through the thread pool twenty times as long. */
const FILES_A_TURN = 100;

function factsOf(file: string): FoundPackage {
  try {
    const { size, mtimeMs, ctimeMs } = statSync(file);
    return { size, time: Math.floor(mtimeMs / 1000), changed: ctimeMs };
  } catch (error) {
    throw noAccess(file, error);
  }
}
