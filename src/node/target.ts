import { closest } from 'fastest-levenshtein';
import { findOsimage, pickGeneration } from '../osimage/find.js';
import { manifestOf } from '../osimage/manifest.js';
import type { Store } from '../store/records.js';
import { NodeError } from './errors.js';

/** An osimage to set nodes to. A generation is a number or an id's first digits as written; null is the current one. */
export interface OsimageTarget {
  readonly kind: 'osimage';
  readonly osimage: string;
  readonly generation: string | null;
  readonly entry: string | null;
}

/** What `nodeset` is asked to set. */
export type Target =
  | OsimageTarget
  /** `osimage` alone: the one each node has by its attribute provmethod, else the one it had last. */
  | { readonly kind: 'own-osimage' }
  /** Something that xCAT's genesis does: `shell`, `standby`, `runcmd=…`, `runimage=…`. */
  | { readonly kind: 'genesis'; readonly destiny: string }
  | { readonly kind: 'boot' }
  | { readonly kind: 'offline' };

/** What `nodeset` is asked to set, and what the nodes are set to afterwards, one after another. */
export interface TargetChain {
  readonly kind: 'set';
  readonly first: Target;
  readonly later: readonly Target[];
  /** The kernel lines that xCAT composed for it, by node. */
  readonly lines?: ReadonlyMap<string, string>;
}

/** A target whose names all exist; `generation` is a full id or null. */
export type ResolvedTarget =
  (OsimageTarget & { readonly destiny?: string }) | { readonly kind: 'boot' } | { readonly kind: 'offline' };

const USAGE =
  'write osimage=NAME[@GENERATION][:ENTRY], osimage, boot, offline, shell, runcmd=COMMAND, runimage=URL, standby or stat';

const WORDS = ['boot', 'offline', 'stat', 'osimage', 'osimage=', 'shell', 'standby', 'runcmd=', 'runimage='];

/** `text` of a nodeset command: targets separated by commas, or `stat`. Throws NodeError BAD_TARGET. */
export function parseTargets(text: string): TargetChain | { readonly kind: 'stat' } {
  if (text === 'stat') return { kind: 'stat' };
  const [first, ...later] = text.split(',').map(parseTarget);
  if (first === undefined || first.kind === 'stat' || later.some(({ kind }) => kind === 'stat'))
    throw badTarget(text, "'stat' stands alone");
  const early = [first, ...later].slice(0, -1).find(({ kind }) => kind === 'boot' || kind === 'offline');
  if (early !== undefined) throw badTarget(text, `${early.kind} ends a chain`);
  for (const target of later) {
    if (target.kind === 'osimage' && target.generation !== null) {
      throw new NodeError(
        'BAD_TARGET',
        `'${text.slice(0, 80)}': a later step boots the generation that is current then; leave out @${target.generation}`,
      );
    }
  }
  return { kind: 'set', first, later: later.filter((target) => target.kind !== 'stat') };
}

/** One target. Throws NodeError BAD_TARGET. */
export function parseTarget(text: string): Target | { readonly kind: 'stat' } {
  if (text === 'boot' || text === 'offline' || text === 'stat') return { kind: text };
  if (text === 'osimage') return { kind: 'own-osimage' };
  if (
    text === 'shell' ||
    text === 'standby' ||
    /^(?:runcmd|runimage)=[\x21\x23-\x26\x28-\x7e]{1,200}$/.test(text)
  ) {
    return { kind: 'genesis', destiny: text };
  }
  if (/^(?:install|netboot|statelite)(?:=|$)/.test(text)) {
    throw new NodeError(
      'BAD_TARGET',
      'The options "install", "netboot", and "statelite" have been deprecated, use "osimage=<osimage_name>" instead.',
    );
  }
  const match = /^osimage=([A-Za-z0-9][A-Za-z0-9._-]*)(?:@([0-9A-Za-z]+))?(?::([a-z0-9-]+))?$/.exec(text);
  const osimage = match?.[1];
  if (osimage === undefined) throw badTarget(text);
  return { kind: 'osimage', osimage, generation: match?.[2] ?? null, entry: match?.[3] ?? null };
}

function badTarget(text: string, why?: string): NodeError {
  const hint = why ?? (text.length <= 10 ? `did you mean '${closest(text, WORDS)}'?` : undefined);
  return new NodeError(
    'BAD_TARGET',
    `cannot set a node to '${text.slice(0, 80)}'${hint === undefined ? '' : ` (${hint})`}; ${USAGE}`,
  );
}

/** `target` with its osimage, generation and entry found. Throws OsimageError or NodeError naming the one that is missing. */
export async function resolveOsimage(
  target: OsimageTarget,
  store: Pick<Store, 'osimages'>,
): Promise<OsimageTarget> {
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
