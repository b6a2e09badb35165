import { RepoError } from './errors.js';

const OPEN = Buffer.from('<package ');
const CLOSE = Buffer.from('</package>');
const LESS = 0x3c;
const SLASH = 0x2f; // before the end of a tag without content
const MAX_PACKAGE = 256 * 1024 * 1024; // bytes of one <package>; kernels’ filelists have a few

/**
 * The `<package …>…</package>` elements of primary, filelists or other metadata, decompressed, one after another; holds no
 * more than one of them and a chunk. Throws RepoError BAD_METADATA when it ends inside one; `where` names the file.
 */
export async function* packagesOf(source: AsyncIterable<Buffer>, where: string): AsyncGenerator<Buffer> {
  for await (const fragments of packageRuns(source, where)) yield* fragments;
}

/** The same, all that end in one chunk together; those that begin in it too lie in its memory. */
export async function* packageRuns(source: AsyncIterable<Buffer>, where: string): AsyncGenerator<Buffer[]> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const fragments: Buffer[] = [];
    let at = 0;
    for (;;) {
      const start = held.indexOf(OPEN, at);
      if (start < 0) {
        const near = held.indexOf(LESS, Math.max(at, held.length - OPEN.length)); // it may go on to be one
        at = near < 0 ? held.length : near;
        break;
      }
      const end = endOf(held, start);
      at = start;
      if (end === undefined) break;
      fragments.push(held.subarray(start, end));
      at = end;
    }
    held = held.subarray(at);
    if (fragments.length > 0) yield fragments;
    if (held.length > MAX_PACKAGE)
      throw new RepoError('BAD_METADATA', `${where}: one package of more than ${MAX_PACKAGE} bytes`);
  }
  if (held.includes(OPEN))
    throw new RepoError('BAD_METADATA', `${where}: ends inside a package; fetch or build it again`);
}

/** Where the element that begins at `start` ends; filelists and other hold `<package …/>` for packages without any. */
function endOf(held: Buffer, start: number): number | undefined {
  const tagEnd = held.indexOf(0x3e, start);
  if (tagEnd < 0) return undefined;
  if (held[tagEnd - 1] === SLASH) return tagEnd + 1;
  const close = held.indexOf(CLOSE, tagEnd);
  return close < 0 ? undefined : close + CLOSE.length;
}
