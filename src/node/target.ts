import { closest } from 'fastest-levenshtein';
import { findOsimage, pickGeneration } from '../osimage/find.js';
import { manifestOf } from '../osimage/manifest.js';
import type { Store } from '../store/records.js';
import { NodeError } from './errors.js';

/** What `nodeset` is asked to set. A generation is a number or an id's first digits as written; null is the current one. */
export type Target =
  | {
      readonly kind: 'osimage';
      readonly osimage: string;
      readonly generation: string | null;
      readonly entry: string | null;
    }
  | { readonly kind: 'boot' }
  | { readonly kind: 'offline' };

/** A target whose names all exist; `generation` is a full id or null. */
export type ResolvedTarget = Target;

const USAGE = 'write osimage=NAME[@GENERATION][:ENTRY], boot, offline or stat';

/** `text` of a nodeset command. Throws NodeError BAD_TARGET. */
export function parseTarget(text: string): Target | { readonly kind: 'stat' } {
  if (text === 'boot' || text === 'offline' || text === 'stat') return { kind: text };
  const match = /^osimage=([A-Za-z0-9][A-Za-z0-9._-]*)(?:@([0-9A-Za-z]+))?(?::([a-z0-9-]+))?$/.exec(text);
  const osimage = match?.[1];
  if (osimage === undefined) {
    const nearest = closest(text, ['boot', 'offline', 'stat', 'osimage=']);
    const hint = text.length <= 10 ? ` (did you mean '${nearest}'?)` : '';
    throw new NodeError('BAD_TARGET', `cannot set a node to '${text.slice(0, 80)}'${hint}; ${USAGE}`);
  }
  return { kind: 'osimage', osimage, generation: match?.[2] ?? null, entry: match?.[3] ?? null };
}

/** `target` with its osimage, generation and entry found. Throws OsimageError or NodeError naming the one that is missing. */
export async function resolveTarget(target: Target, store: Store): Promise<ResolvedTarget> {
  if (target.kind !== 'osimage') return target;
  const osimage = await findOsimage(store, target.osimage);
  const history = await store.osimages.history(osimage.name);
  const record = pickGeneration(osimage.name, history, target.generation ?? osimage.current);
  const labels = manifestOf(record).boot.map((entry) => entry.label);
  if (labels.length === 0) {
    throw new NodeError(
      'NO_SUCH_ENTRY',
      `osimage ${osimage.name} has nothing to boot; import its kernel with it (image import --kernel)`,
    );
  }
  if (target.entry !== null && !labels.includes(target.entry)) {
    throw new NodeError(
      'NO_SUCH_ENTRY',
      `osimage ${osimage.name} has no boot entry '${target.entry}'; it has: ${labels.join(', ')}`,
    );
  }
  return { ...target, generation: target.generation === null ? null : record.id };
}
