import path from 'node:path';
import type { ArchivePath } from './cpio/path.js';
import { ImageError } from './errors.js';
import { findPattern } from './find-pattern.js';

/** The patterns of an exlist, latin-1, as `find . -path` takes them: of paths that begin with `./`. */
export interface Exlist {
  readonly exclude: readonly string[];
  readonly include: readonly string[]; // lines that begin with `+`: what stays although it is excluded
}

/** A line that can match nothing, and why. */
export interface IdleLine {
  readonly file: string;
  readonly line: number;
  readonly why: string;
}

/** What reading an exlist takes from the file system. */
export interface ExlistSource {
  /** The bytes of a file as latin-1. */
  read(file: string): Promise<string>;
  /** Told of each line that can match nothing. */
  onIdle(line: IdleLine): void;
}

/** How deep `#INCLUDE:` may nest. */
const MAX_DEPTH = 20;

/**
 * Reads an exlist in the form of xCAT's packimage: `./path/glob*` or `-./…` leaves out, `+./…` keeps, `#` begins a
 * comment anywhere, `#INCLUDE:file#` reads another list, by its path from this one. Throws ImageError BAD_LAYER for an
 * include that cannot be read or never ends.
 */
export async function readExlist(file: string, source: ExlistSource): Promise<Exlist> {
  const exclude: string[] = [];
  const include: string[] = [];
  const readFrom = async (name: string, above: readonly string[]): Promise<void> => {
    const text = await source.read(name);
    for (const [index, whole] of text.split('\n').entries()) {
      const where = `${name}:${index + 1}`;
      const included = /^\s*#INCLUDE:([^#]+)#/.exec(whole)?.[1]?.trim();
      if (included !== undefined) {
        const next = path.resolve(path.dirname(name), Buffer.from(included, 'latin1').toString());
        if ([...above, name].includes(next) || above.length === MAX_DEPTH) {
          throw new ImageError(
            'BAD_LAYER',
            `${where}: ${next} includes itself in the end; take this line out`,
          );
        }
        await readFrom(next, [...above, name]).catch((error: unknown) => {
          if (error instanceof ImageError && error.code === 'BAD_LAYER') throw error;
          throw new ImageError(
            'BAD_LAYER',
            `${where}: ${next} cannot be read; correct the name, which is relative to the list it stands in`,
            { cause: error },
          );
        });
        continue;
      }
      const line = whole.replace(/#.*/, '').trim();
      const pattern = line.replace(/^[+-]/, '');
      if (pattern === '') continue;
      (line.startsWith('+') ? include : exclude).push(pattern);
      const why = whyIdle(pattern);
      if (why !== undefined) source.onIdle({ file: name, line: index + 1, why });
    }
  };
  await readFrom(file, []);
  return { exclude, include };
}

function whyIdle(pattern: string): string | undefined {
  if (pattern.endsWith('/') && !pattern.endsWith('\\/')) {
    return `${pattern} matches nothing, since no path ends in /; write ${pattern.replace(/\/+$/, '')} or ${pattern}*`;
  }
  if (/^[^.*?[\\]/.test(pattern)) {
    return `${pattern} matches nothing, since paths begin with ./; write ./${pattern.replace(/^\/+/, '')}`;
  }
  return undefined;
}

/**
 * Whether an exlist keeps a path: `find . ! -path E1 -a ! -path E2 …`, and whatever `find . -path I1 -o -path I2 …`
 * finds. Nothing is pruned: below an excluded directory, only what a pattern matches is left out.
 */
export function exlistKeeps({ exclude, include }: Exlist): (path: ArchivePath) => boolean {
  const excluded = exclude.map(findPattern);
  const included = include.map(findPattern);
  return (below) => {
    const found = below === '' ? '.' : `./${below}`;
    return !excluded.some((matches) => matches(found)) || included.some((matches) => matches(found));
  };
}
