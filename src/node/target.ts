import { closest } from 'fastest-levenshtein';
import type { GenerationManifest } from '../osimage/types.js';
import type { GenerationRecord, OsimageState } from '../store/records.js';
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

/** `target` with its osimage, generation and entry found. Throws NodeError naming the one that is missing. */
export async function resolveTarget(target: Target, osimages: OsimageState): Promise<ResolvedTarget> {
  if (target.kind !== 'osimage') return target;
  const osimage = await osimages.get(target.osimage);
  if (osimage === undefined) {
    const names = (await osimages.list()).map((record) => record.name);
    const hint =
      names.length === 0
        ? 'import one with: rackboot image import'
        : `did you mean '${closest(target.osimage, names)}'? List them with: rackboot image ls`;
    throw new NodeError('NO_SUCH_OSIMAGE', `no osimage called '${target.osimage}'; ${hint}`);
  }
  const wanted = target.generation ?? osimage.current;
  const record = findGeneration(target.osimage, wanted, await osimages.history(target.osimage));
  if (target.entry !== null) {
    const labels = (JSON.parse(record.manifest) as GenerationManifest).boot.map((entry) => entry.label);
    if (!labels.includes(target.entry)) {
      throw new NodeError(
        'NO_SUCH_ENTRY',
        `osimage ${target.osimage} has no boot entry '${target.entry}'; it has: ${labels.join(', ')}`,
      );
    }
  }
  return { ...target, generation: target.generation === null ? null : record.id };
}

/** The generation of `history` that `wanted` (its number, its id, or at least 6 first digits of it) means. Throws NodeError. */
export function findGeneration(
  osimage: string,
  wanted: string,
  history: readonly GenerationRecord[],
): GenerationRecord {
  const byNumber = /^\d+$/.test(wanted)
    ? history.find((record) => record.number === Number(wanted))
    : undefined;
  if (byNumber !== undefined) return byNumber;
  const byId =
    wanted.length >= 6 ? history.filter((record) => record.id.startsWith(wanted.toLowerCase())) : [];
  const [only, ...others] = byId;
  if (only !== undefined && others.length === 0) return only;
  const why = only === undefined ? 'no generation' : 'more than one generation';
  throw new NodeError(
    'NO_SUCH_GENERATION',
    `osimage ${osimage} has ${why} '${wanted}'; give a number or 6 and more digits of an id from: rackboot image history ${osimage}`,
  );
}
