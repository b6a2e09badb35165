import { joinPath, parentOf, ROOT, type ArchivePath } from './cpio/path.js';

/** Symbolic links followed before a path counts as a loop (path_resolution(7): 40). */
const MAX_LINKS = 40;

/** How a path is followed. */
export interface Following {
  /** The target of the symbolic link that stands at a path, latin-1; undefined where none does. */
  readonly targetOf: (path: ArchivePath) => string | undefined;
  /** Whether a link that the path itself names is followed too, not only those on the way. */
  readonly last: boolean;
}

/**
 * Where `path` leads once symbolic links are followed, inside the image as the node would: `/` and what is above it are
 * the image's root. Undefined for links that go round.
 */
export function followLinks(path: ArchivePath, { targetOf, last }: Following): ArchivePath | undefined {
  let done: ArchivePath = ROOT;
  const ahead: string[] = path === ROOT ? [] : path.split('/').reverse();
  for (let links = 0; ahead.length > 0;) {
    const name = ahead.pop() ?? '';
    if (name === '..') {
      done = parentOf(done);
      continue;
    }
    const next = joinPath(done, name);
    const target = last || ahead.length > 0 ? targetOf(next) : undefined;
    if (target === undefined) {
      done = next;
      continue;
    }
    if (++links > MAX_LINKS) return undefined;
    if (target.startsWith('/')) done = ROOT;
    const steps = target.split('/').filter((part) => part !== '' && part !== '.');
    ahead.push(...steps.reverse());
  }
  return done;
}
